/* The options of a load on a controller. Invariant: what is kept is in its range. */
#include "rest_cli.h"

#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RATE_MAX = 1000000 };

static int take_url(struct rest_cli *c)
{
    int r = rest_load_url(&c->load, c->url);
    if (r < 0)
        fprintf(stderr, "--url is http[s]://IP:PORT: an address, not a name, and nothing behind it\n");
    return r;
}

int rest_cli_take(struct rest_cli *c, int opt)
{
    switch (opt) {
    case 'u':
        c->url = optarg;
        return take_url(c);
    case 't':
        c->token = optarg;
        return strlen(optarg) <= REST_LOAD_TOKEN_MAX ? 0 : -EINVAL;
    case 'r':
        return number_parse(optarg, 1, RATE_MAX, &c->rate);
    case 's':
        return number_parse(optarg, 1, SECONDS_MAX, &c->seconds);
    case 'w':
        return number_parse(optarg, 0, SECONDS_MAX, &c->warm);
    case 'c':
        return number_parse(optarg, 1, REST_LOAD_CONNECTIONS_MAX, &c->connections);
    case 'S':
        return number_parse(optarg, 0, INT64_MAX, &c->seed);
    case 'j':
        c->json = true;
        return 0;
    default:
        return -EINVAL;
    }
}

bool rest_cli_complete(const struct rest_cli *c)
{
    return c->url != NULL && c->token != NULL && c->seconds > 0;
}

int rest_cli_run(struct rest_cli *c, int64_t now_us, const struct rest_source *source,
                 struct rest_load_result *out)
{
    c->load.connections = (size_t)c->connections;
    c->load.warm_us = now_us + c->warm * 1000000;
    c->load.until_us = c->load.warm_us + c->seconds * 1000000;
    c->load.quiet = c->json;
    return rest_load_run(&c->load, source, out);
}
