/* The ciphers that libsrtp2 works with, over libcrypto: the distribution's libsrtp2 is built on NSS, which takes
 * milliseconds for a session's keys, and memory for every packet. Private to common/media. */
#ifndef BERTH_MEDIA_SRTP_CRYPTO_H
#define BERTH_MEDIA_SRTP_CRYPTO_H

/* After srtp_init, once. libsrtp2 tests each against its own vectors before it takes it. 0, or -EIO. */
int srtp_crypto_install(void) __attribute__((warn_unused_result));

#endif
