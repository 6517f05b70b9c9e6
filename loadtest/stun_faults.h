/* What is wrong with answers, counted by kind, so that a figure explains itself. Pure, and of a fixed size; one
 * thread at a time. A zeroed one is empty. */
#ifndef BERTH_LOADTEST_STUN_FAULTS_H
#define BERTH_LOADTEST_STUN_FAULTS_H

#include "core/stun.h"

#include <stdint.h>
#include <stdio.h>

enum stun_fault {
    STUN_FAULT_BROKEN,      /* no answer to a Binding: cut short, a request, anything else */
    STUN_FAULT_TRANSACTION, /* to a request that nobody here has made */
    STUN_FAULT_INTEGRITY,   /* not signed, or wrongly */
    STUN_FAULT_ADDRESS,     /* names another address than asked, or none */
    STUN_FAULT_KINDS
};
enum { STUN_ERROR_LEAST = 300, STUN_ERROR_MOST = 699 };

struct stun_faults {
    uint64_t kind[STUN_FAULT_KINDS];
    uint64_t error[STUN_ERROR_MOST - STUN_ERROR_LEAST + 1]; /* errors, by their code */
};

uint64_t stun_faults_sum(const struct stun_faults *f);
void stun_faults_add(struct stun_faults *f, enum stun_fault kind);

/* An answer to a Binding? Then *m is it; else it is counted. */
bool stun_answer_read(struct stun_faults *f, struct stun_msg *m, const uint8_t *bytes, size_t len);
/* Is it a success that names `local`, and, but where `password` is NULL, is signed with that? Else it is counted.
 * Whose it is the caller has seen. */
bool stun_answer_is_right(struct stun_faults *f, const struct stun_msg *m, const char *password,
                          const struct addr *local);

/* {"integrity":2,"error_438":1}: kinds of which there are none stand in it no more than in the text. */
void stun_faults_json(const struct stun_faults *f, FILE *to);
/* " (integrity 2, error 438 1)", or nothing. */
void stun_faults_text(const struct stun_faults *f, FILE *to);

#endif
