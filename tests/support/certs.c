/* Makes the certificates that tests use. Invariant: everything lies in the directory that the test names. */
#include "support/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAY_S = 24 * 3600 };

struct test_ca {
    EVP_PKEY *key;
    X509 *cert;
    long serial;
};

void test_dir_make(char path[static TEST_PATH_MAX])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, TEST_PATH_MAX, "%s/berth-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
}

const char *test_path(char out[static TEST_PATH_MAX], const char *dir, const char *name)
{
    snprintf(out, TEST_PATH_MAX, "%.180s/%.70s", dir, name);
    return out;
}

void test_dir_remove(const char *path)
{
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char file[TEST_PATH_MAX];
        if (entry->d_name[0] != '.')
            unlink(test_path(file, path, entry->d_name));
    }
    closedir(d);
    assert_int_equal(rmdir(path), 0);
}

void test_file_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void write_pem(const char *dir, const char *name, X509 *cert, EVP_PKEY *key)
{
    char file[80], path[TEST_PATH_MAX];
    snprintf(file, sizeof(file), "%.64s.%s", name, cert != NULL ? "pem" : "key");
    FILE *f = fopen(test_path(path, dir, file), "w");
    assert_non_null(f);
    int ok = cert != NULL ? PEM_write_X509(f, cert) : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    assert_int_equal(ok, 1);
    assert_int_equal(fclose(f), 0);
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/* An unsigned certificate; self-issued when `issuer` is NULL. */
static X509 *cert_new(const char *name, EVP_PKEY *key, X509 *issuer, long serial, int days)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -(days < 0 ? 1 - days : 1) * (long)DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(cert), days * (long)DAY_S);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    return cert;
}

struct test_ca *test_ca_new(const char *dir, const char *name)
{
    struct test_ca *ca = calloc(1, sizeof(*ca));
    assert_non_null(ca);
    ca->key = EVP_EC_gen("P-256");
    assert_non_null(ca->key);
    ca->cert = cert_new(name, ca->key, NULL, ++ca->serial, 30);
    add_extension(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign");
    add_extension(ca->cert, ca->cert, NID_subject_key_identifier, "hash");
    assert_true(X509_sign(ca->cert, ca->key, EVP_sha256()) > 0);
    write_pem(dir, name, ca->cert, NULL);
    return ca;
}

void test_ca_issue(struct test_ca *ca, const char *dir, const char *name, const char *san, int days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509 *cert = cert_new(name, key, ca->cert, ++ca->serial, days);
    add_extension(cert, ca->cert, NID_subject_alt_name, san);
    add_extension(cert, ca->cert, NID_ext_key_usage, "serverAuth");
    add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid");
    assert_true(X509_sign(cert, ca->key, EVP_sha256()) > 0);
    write_pem(dir, name, cert, NULL);
    write_pem(dir, name, NULL, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void test_ca_free(struct test_ca *ca)
{
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    free(ca);
}
