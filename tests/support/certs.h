/* Certificates for tests, made when the test runs: a CA and what it issues, as PEM files. Failures end the test. */
#ifndef BERTH_TESTS_CERTS_H
#define BERTH_TESTS_CERTS_H

#include <stddef.h>

enum { TEST_PATH_MAX = 256 };

/* A new directory under TMPDIR or /tmp; test_dir_remove removes it and the files in it. */
void test_dir_make(char path[static TEST_PATH_MAX]);
void test_dir_remove(const char *path);
/* "dir/name" */
const char *test_path(char out[static TEST_PATH_MAX], const char *dir, const char *name);
void test_file_write(const char *path, const char *text);

struct test_ca;

/* Writes dir/NAME.pem, the CA's certificate. */
struct test_ca *test_ca_new(const char *dir, const char *name);
/* Writes dir/NAME.pem and dir/NAME.key (P-256). `san` as OpenSSL spells it: "DNS:node.test,IP:127.0.0.1,IP:::1"; valid from
 * yesterday for `days` days from now (negative: expired). */
void test_ca_issue(struct test_ca *ca, const char *dir, const char *name, const char *san, int days);
void test_ca_free(struct test_ca *ca);

#endif
