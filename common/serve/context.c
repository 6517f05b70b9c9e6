/* The end of a libh2o context, with what the library leaves undone there. */
#include "serve/http.h"

#if defined(__SANITIZE_ADDRESS__)
#define BERTH_LEAK_CHECK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BERTH_LEAK_CHECK 1
#endif
#endif

#ifdef BERTH_LEAK_CHECK
/* What the library keeps when a thread or a context ends, once each, is no leak of ours. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}
#endif

/* Lives here so that whoever uses libh2o's HTTP links this file too. */
void http_context_dispose(h2o_context_t *ctx)
{
    /* A requested shutdown leaves a timer of HTTP/2's behind. */
    h2o_timeout_unlink(&ctx->http2._graceful_shutdown_timeout);
    h2o_context_dispose(ctx);
}
