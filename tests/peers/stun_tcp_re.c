/* A STUN client over TCP made of libre (the library of baresip): one Binding request with FINGERPRINT, and the
 * mapped address on standard output. Arguments: IP, port. */
#define HAVE_INTTYPES_H 1 /* what libre's own build system would find out */
#define HAVE_STDBOOL_H  1

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <re.h>

struct client {
    struct stun *stun;
    struct tcp_conn *conn;
    struct stun_ctrans *transaction;
    struct mbuf *input;
    int result;
};

static void finish(struct client *c, int result)
{
    c->result = result;
    re_cancel();
}

static void on_answer(int err, uint16_t code, const char *reason, const struct stun_msg *msg, void *arg)
{
    struct client *c = arg;
    if (err || code) {
        fprintf(stderr, "answer: %s %u %s\n", strerror(err), code, reason ? reason : "");
        finish(c, 1);
        return;
    }
    const struct stun_attr *mapped = stun_msg_attr(msg, STUN_ATTR_XOR_MAPPED_ADDR);
    if (!mapped || stun_msg_chk_fingerprint(msg) != 0) {
        fprintf(stderr, "answer: no XOR-MAPPED-ADDRESS, or a wrong FINGERPRINT\n");
        finish(c, 1);
        return;
    }
    (void)re_printf("%J\n", &mapped->v.xor_mapped_addr);
    finish(c, 0);
}

static void on_established(void *arg)
{
    struct client *c = arg;
    int err = stun_request(&c->transaction, c->stun, IPPROTO_TCP, c->conn, NULL, 0, STUN_METHOD_BINDING, NULL,
                           0, true, on_answer, c, 0);
    if (err) {
        fprintf(stderr, "request: %s\n", strerror(err));
        finish(c, 1);
    }
}

static void on_bytes(struct mbuf *mb, void *arg)
{
    struct client *c = arg;
    (void)mbuf_write_mem(c->input, mbuf_buf(mb), mbuf_get_left(mb));
    c->input->pos = 0;
    (void)stun_recv(c->stun, c->input); /* an incomplete message stays for the next bytes */
    c->input->pos = c->input->end;
}

static void on_closed(int err, void *arg)
{
    fprintf(stderr, "closed: %s\n", strerror(err));
    finish(arg, 1);
}

int main(int argc, char **argv)
{
    struct client c = {.result = 1};
    struct sa server;
    if (argc != 3 || sa_set_str(&server, argv[1], (uint16_t)atoi(argv[2])) != 0) {
        fprintf(stderr, "usage: stun_tcp_re IP PORT\n");
        return 2;
    }
    int err = libre_init();
    if (!err)
        err = stun_alloc(&c.stun, NULL, NULL, NULL);
    c.input = mbuf_alloc(512);
    if (!err)
        err = tcp_connect(&c.conn, &server, on_established, on_bytes, on_closed, &c);
    if (!err)
        err = re_main(NULL);
    if (err)
        fprintf(stderr, "stun_tcp_re: %s\n", strerror(err));
    mem_deref(c.transaction);
    mem_deref(c.conn);
    mem_deref(c.stun);
    mem_deref(c.input);
    libre_close();
    return err ? 1 : c.result;
}
