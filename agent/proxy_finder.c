/* Proxies of destinations. Invariant: a job is the thread's and the finder's together; whoever lets go last frees
 * it, and the thread touches nothing else; what it found is the finder's once it is `finished`. */
#include "proxy_finder.h"

#include "pac.h"
#include "sys_machine.h"
#include "wpad.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the thread works on. */
struct job {
    atomic_int owners;
    _Atomic bool finished;    /* what the thread found may be taken */
    _Atomic int64_t began_us; /* the script; 0: not yet */
    int error;                /* of the script's loading or running */
    char *pac;                /* its path or URL; NULL: ask the network */
    char *script;             /* loaded before, or by this job; NULL: not yet, or there is none */
    size_t n;
    struct pac_question *questions;
    char **hosts;
    bool *direct; /* decided by no_proxy */
    struct proxy_list *lists;
    struct proxy_table table;
    int wake_fd, stop_fd;
    char *helper; /* that runs scripts; NULL: the installed one */
};

struct proxy_finder {
    struct sys_poller *poller;
    enum proxy_source source;
    bool may_try_network;
    struct proxy_endpoint proxy; /* of the options */
    struct proxy_login login;
    char *pac, *no_proxy, *helper;
    char *script; /* of an earlier job */
    const char *problem;
    struct proxy_table table;
    struct proxy_list *lists;
    size_t n;
    struct job *job; /* under way */
    struct job *
        late; /* one that was given up: while it runs there is no other, and then it is the answer to its question */
    struct sys_watch watch;
    void (*done)(void *user);
    void *user;
};

/* ---- the thread ---- */

static void job_release(struct job *j)
{
    if (!j)
        return;
    if (j->stop_fd >= 0)
        sys_wakeup_signal(j->stop_fd); /* who runs the script may end it */
    if (atomic_fetch_sub(&j->owners, 1) > 1)
        return;
    for (size_t i = 0; j->hosts && i < j->n; i++)
        free(j->hosts[i]);
    free(j->hosts);
    free(j->questions);
    free(j->direct);
    free(j->lists);
    free(j->pac);
    free(j->script);
    free(j->helper);
    sys_close(j->wake_fd);
    sys_close(j->stop_fd);
    free(j);
}

static void look_at_lease(void *user, const char *text)
{
    char *url = user;
    (void)wpad_from_lease(text, url);
}

/* DHCP before DNS, as everybody does. */
static void load_from_network(struct job *j)
{
    char url[WPAD_URL_MAX] = "", domain[WPAD_DOMAIN_MAX + 1];
    char *conf = malloc(8192);
    sys_dhcp_leases(look_at_lease, url);
    if (url[0] != '\0' && pac_load(&j->script, url) < 0)
        j->script = NULL;
    if (!j->script && conf && sys_resolver_config(conf, 8192) && wpad_domain(conf, domain) &&
        wpad_url_of_domain(domain, url) && pac_load(&j->script, url) < 0)
        j->script = NULL;
    free(conf);
}

static void take_answer(void *user, size_t index, const char *text)
{
    struct job *j = user;
    if (!j->direct[index])
        proxy_list_from_pac(&j->lists[index], &j->table, text);
}

/* It may have failed for some of the questions: it is a script nevertheless. */
static bool has_answered(int error)
{
    return error == 0 || error == -EDOM || error == -EMSGSIZE;
}

static void job_run(void *arg)
{
    struct job *j = arg;
    const struct pac_way way = {.helper = j->helper, .stop_fd = j->stop_fd};
    if (!j->script && j->pac) {
        j->error = pac_load(&j->script, j->pac);
        if (j->error < 0)
            j->script = NULL;
    } else if (!j->script) {
        load_from_network(j);
    }
    if (j->script && atomic_load(&j->owners) > 1)
        j->error = pac_run(j->script, j->questions, j->n, &way, &j->began_us);
    if (!has_answered(j->error)) {
        free(j->script);
        j->script = NULL;
    }
    atomic_store(&j->finished, true);
    sys_wakeup_signal(j->wake_fd);
    job_release(j);
}

/* ---- the finder ---- */

static int copy_text(char **out, const char *text)
{
    if (!text || text[0] == '\0')
        return 0;
    *out = strdup(text);
    return *out ? 0 : -ENOMEM;
}

static int take_options(struct proxy_finder *f, const struct proxy_finder_options *o)
{
    struct proxy_choice choice;
    struct proxy_inputs in = {.proxy = o->proxy, .pac = o->pac, .no_proxy = o->no_proxy};
    if ((o->user && strlen(o->user) > PROXY_SECRET_MAX) ||
        (o->password && strlen(o->password) > PROXY_SECRET_MAX))
        return -EINVAL;
    snprintf(f->login.user, sizeof f->login.user, "%s", o->user ? o->user : "");
    snprintf(f->login.password, sizeof f->login.password, "%s", o->password ? o->password : "");
    proxy_choose(&choice, &in);
    f->source = choice.source;
    f->may_try_network = choice.source == PROXY_FROM_NOTHING && !(o->proxy && o->proxy[0] != '\0');
    int err = copy_text(&f->pac, choice.pac);
    if (err == 0)
        err = copy_text(&f->helper, o->pac_helper);
    if (err == 0)
        err = copy_text(&f->no_proxy, choice.no_proxy);
    if (err == 0 && choice.proxy)
        err = proxy_url_parse(&f->proxy, &f->login, choice.proxy);
    return err;
}

int proxy_finder_new(struct proxy_finder **out, struct sys_poller *poller,
                     const struct proxy_finder_options *o)
{
    struct proxy_finder *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->poller = poller;
    f->problem = "";
    int err = take_options(f, o);
    if (err < 0) {
        proxy_finder_destroy(f);
        return err;
    }
    *out = f;
    return 0;
}

static const char still_runs[] =
    "the PAC script does not end: none is run before it has, or the network is another";

static const char *problem_of(int error)
{
    switch (error) {
    case 0:
        return "";
    case -EDOM:
        return "the PAC script fails: it throws, or returns nothing";
    case -EMSGSIZE:
        return "the PAC script's answer is too long";
    case -ETIME:
        return "the PAC script does not end";
    case -ECHILD:
        return "the PAC script was ended: it takes too much memory, stack or time";
    case -ENOEXEC:
        return "PAC scripts can't be run: berth-pac is not installed, or can't be started";
    case -EINVAL:
        return "it is no PAC script that runs";
    case -EFBIG:
        return "the PAC script is too big";
    default:
        return "the PAC script can't be loaded";
    }
}

static void drop_job(struct proxy_finder *f)
{
    sys_watch_remove(f->poller, &f->watch);
    job_release(f->job);
    f->job = NULL;
}

static void drop_late(struct proxy_finder *f)
{
    job_release(f->late);
    f->late = NULL;
}

void proxy_finder_destroy(struct proxy_finder *f)
{
    if (!f)
        return;
    drop_job(f);
    drop_late(f);
    sodium_memzero(&f->login, sizeof f->login);
    free(f->pac);
    free(f->helper);
    free(f->no_proxy);
    free(f->script);
    free(f->lists);
    free(f);
}

struct proxy_destination proxy_destination_of(const struct node_entry *e, char ip[static ADDR_TEXT_LEN])
{
    struct proxy_destination d = {.host = e->tls_name};
    if (e->addresses.n[TRANSPORT_TLS] > 0)
        d.ip = e->addresses.at[TRANSPORT_TLS][0];
    if (e->tls_name[0] == '\0')
        d.host = addr_format_ip(&d.ip, ip);
    d.port = d.ip.port;
    return d;
}

static bool goes_directly(const struct proxy_finder *f, const struct proxy_destination *d)
{
    char ip[ADDR_TEXT_LEN];
    if (no_proxy_match(f->no_proxy, d->host, d->port))
        return true;
    return addr_is_set(&d->ip) && no_proxy_match(f->no_proxy, addr_format_ip(&d->ip, ip), d->port);
}

static int start_lists(struct proxy_finder *f, size_t n)
{
    drop_job(f);
    free(f->lists);
    f->lists = calloc(n + 1, sizeof *f->lists);
    f->n = f->lists ? n : 0;
    f->table.n = 0;
    return f->lists ? 0 : -ENOMEM;
}

static struct job *job_new(const struct proxy_finder *f, const struct proxy_destination *d, size_t n)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    atomic_init(&j->owners, 1);
    j->wake_fd = j->stop_fd = -1;
    j->n = n;
    j->hosts = calloc(n + 1, sizeof *j->hosts);
    j->questions = calloc(n + 1, sizeof *j->questions);
    j->direct = calloc(n + 1, sizeof *j->direct);
    j->lists = calloc(n + 1, sizeof *j->lists);
    bool ok = j->hosts && j->questions && j->direct && j->lists && copy_text(&j->pac, f->pac) == 0 &&
              copy_text(&j->script, f->script) == 0 && copy_text(&j->helper, f->helper) == 0;
    for (size_t i = 0; ok && i < n; i++) {
        j->hosts[i] = strdup(d[i].host);
        j->direct[i] = goes_directly(f, &d[i]);
        j->questions[i] = (struct pac_question){j->hosts[i], d[i].port, take_answer, j};
        ok = j->hosts[i] != NULL;
    }
    if (!ok) {
        job_release(j);
        return NULL;
    }
    return j;
}

static void take_script(struct proxy_finder *f, struct job *j)
{
    free(f->script);
    f->script = j->script;
    j->script = NULL;
}

static void take_answers(struct proxy_finder *f, const struct job *j)
{
    f->problem = problem_of(j->error);
    memcpy(f->lists, j->lists, j->n * sizeof *f->lists);
    f->table = j->table;
}

static void on_wake(void *user, unsigned events)
{
    struct proxy_finder *f = user;
    struct job *j = f->job;
    sys_wakeup_clear(j->wake_fd);
    if (!atomic_load(&j->finished))
        return;
    take_answers(f, j);
    take_script(f, j);
    drop_job(f);
    f->done(f->user);
}

static bool is_question_of(const struct job *j, const struct proxy_destination *d, size_t n)
{
    for (size_t i = 0; i < n && n == j->n; i++) {
        if (strcmp(j->hosts[i], d[i].host) != 0 || j->questions[i].port != d[i].port)
            return false;
    }
    return n == j->n;
}

/* What the late job makes of the question. False: it is to be asked. */
static bool ask_late(struct proxy_finder *f, const struct proxy_destination *d, size_t n)
{
    struct job *j = f->late;
    if (!j)
        return false;
    if (!atomic_load(&j->finished)) {
        f->problem = still_runs;
        return true;
    }
    if (!has_answered(j->error)) {
        drop_late(f);
        return false;
    }
    if (j->script)
        take_script(f, j);
    if (!is_question_of(j, d, n))
        return false;
    take_answers(f, j);
    return true;
}

static int start_job(struct proxy_finder *f)
{
    struct sys_thread *thread;
    struct job *j = f->job;
    int err = j->wake_fd = sys_wakeup_open();
    if (err < 0)
        return err;
    err = j->stop_fd = sys_wakeup_open();
    if (err < 0)
        return err;
    err = sys_watch_add(f->poller, &f->watch, j->wake_fd, SYS_READ, on_wake, f);
    if (err < 0)
        return err;
    atomic_fetch_add(&j->owners, 1);
    err = sys_thread_start(&thread, job_run, j);
    if (err < 0) {
        atomic_fetch_sub(&j->owners, 1);
        return err;
    }
    sys_thread_detach(thread);
    return 0;
}

int proxy_finder_ask(struct proxy_finder *f, const struct proxy_destination *d, size_t n,
                     void (*done)(void *user), void *user)
{
    int err = start_lists(f, n);
    if (err < 0)
        return err;
    f->problem = "";
    if (ask_late(f, d, n))
        return 1;
    if (f->source == PROXY_FROM_PAC || f->source == PROXY_FROM_WPAD) {
        f->done = done;
        f->user = user;
        f->job = job_new(f, d, n);
        err = f->job ? start_job(f) : -ENOMEM;
        if (err < 0)
            drop_job(f);
        return err;
    }
    for (size_t i = 0; f->source == PROXY_FROM_OPTION && i < n; i++) {
        if (!goes_directly(f, &d[i]))
            (void)proxy_list_add(&f->lists[i], &f->table, &f->proxy);
    }
    return 1;
}

void proxy_finder_give_up(struct proxy_finder *f)
{
    struct job *j = f->job;
    f->problem = "it gave no answer in time";
    if (j && !atomic_load(&j->finished) && pac_overdue(atomic_load(&j->began_us))) {
        f->problem = still_runs;
        drop_late(f);
        f->late = j;
        f->job = NULL;
    }
    drop_job(f);
}

void proxy_finder_cancel(struct proxy_finder *f)
{
    drop_job(f);
}

const char *proxy_finder_problem(const struct proxy_finder *f)
{
    return f->problem;
}

const struct proxy_list *proxy_finder_lists(const struct proxy_finder *f)
{
    return f->lists;
}

const struct proxy_table *proxy_finder_table(const struct proxy_finder *f)
{
    return &f->table;
}

bool proxy_finder_try_network(struct proxy_finder *f)
{
    if (!f->may_try_network || f->source != PROXY_FROM_NOTHING)
        return false;
    f->source = PROXY_FROM_WPAD;
    return true;
}

void proxy_finder_follow(struct proxy_finder *f, const struct proxy_finder *other)
{
    if (f->may_try_network && other->source == PROXY_FROM_WPAD)
        f->source = PROXY_FROM_WPAD;
    if (!f->script && f->source == other->source)
        (void)copy_text(&f->script, other->script); /* without it, it is loaded */
}

void proxy_finder_forget(struct proxy_finder *f)
{
    if (f->late && atomic_load(&f->late->finished))
        drop_late(f);
    free(f->script);
    f->script = NULL;
    if (f->may_try_network)
        f->source = PROXY_FROM_NOTHING;
}

void proxy_finder_network_changed(struct proxy_finder *f)
{
    drop_late(f);
    proxy_finder_forget(f);
}

struct proxy_identity proxy_finder_identity(const struct proxy_finder *f, const char *ca_file)
{
    return (struct proxy_identity){
        .login = &f->login, .guard_password = f->source == PROXY_FROM_WPAD, .ca_file = ca_file};
}

const char *proxy_finder_source(const struct proxy_finder *f)
{
    switch (f->source) {
    case PROXY_FROM_PAC:
        return "PAC";
    case PROXY_FROM_WPAD:
        return "WPAD";
    case PROXY_FROM_OPTION:
    case PROXY_FROM_ENVIRONMENT:
        return "the options";
    case PROXY_FROM_NOTHING:
        break;
    }
    return "nothing";
}
