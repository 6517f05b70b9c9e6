/* The names in the node's certificate. Invariant: a client that verifies agrees with the verdict, since OpenSSL gives both. */
#include "certificate.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static void append(char names[static CERTIFICATE_NAMES_TEXT], const ASN1_STRING *name)
{
    size_t len = strlen(names);
    snprintf(names + len, CERTIFICATE_NAMES_TEXT - len, "%s%.*s", len > 0 ? ", " : "",
             ASN1_STRING_length(name), (const char *)ASN1_STRING_get0_data(name));
}

/* DNS names; a common name counts only where there are none. */
static void list_names(const X509 *certificate, char names[static CERTIFICATE_NAMES_TEXT])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    names[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type == GEN_DNS)
            append(names, name->d.dNSName);
    }
    GENERAL_NAMES_free(all);
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = names[0] == '\0' ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
    if (at >= 0)
        append(names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (names[0] == '\0')
        snprintf(names, CERTIFICATE_NAMES_TEXT, "none");
}

bool certificate_carries(struct tls_server *tls, const char *name, char names[static CERTIFICATE_NAMES_TEXT])
{
    SSL_CTX *ctx = tls_server_ctx(tls);
    X509 *certificate = SSL_CTX_get0_certificate(ctx);
    bool carries = certificate != NULL && (X509_check_host(certificate, name, 0, 0, NULL) == 1 ||
                                           X509_check_ip_asc(certificate, name, 0) == 1);
    names[0] = '\0';
    if (!carries && certificate != NULL)
        list_names(certificate, names);
    SSL_CTX_free(ctx);
    return carries;
}
