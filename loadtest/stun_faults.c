/* One look at an answer, one count. Invariant: what isn't right is counted once, as the first thing that is wrong
 * with it. */
#include "stun_faults.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const char *const names[STUN_FAULT_KINDS] = {
    [STUN_FAULT_BROKEN] = "broken",
    [STUN_FAULT_TRANSACTION] = "transaction",
    [STUN_FAULT_INTEGRITY] = "integrity",
    [STUN_FAULT_ADDRESS] = "address",
};

uint64_t stun_faults_sum(const struct stun_faults *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STUN_FAULT_KINDS; i++)
        sum += f->kind[i];
    for (size_t i = 0; i < sizeof f->error / sizeof f->error[0]; i++)
        sum += f->error[i];
    return sum;
}

void stun_faults_add(struct stun_faults *f, enum stun_fault kind)
{
    f->kind[kind]++;
}

bool stun_answer_read(struct stun_faults *f, struct stun_msg *m, const uint8_t *bytes, size_t len)
{
    if (stun_parse(m, bytes, len) == 0 && m->method == STUN_BINDING &&
        (m->cls == STUN_SUCCESS || m->cls == STUN_ERROR))
        return true;
    stun_faults_add(f, STUN_FAULT_BROKEN);
    return false;
}

static void count_error(struct stun_faults *f, const struct stun_msg *m)
{
    struct stun_attr a;
    struct slice reason;
    int code;
    if (stun_find(m, STUN_ATTR_ERROR_CODE, &a) && stun_attr_error(&a, &code, &reason) == 0)
        f->error[code - STUN_ERROR_LEAST]++;
    else
        stun_faults_add(f, STUN_FAULT_BROKEN);
}

bool stun_answer_is_right(struct stun_faults *f, const struct stun_msg *m, const char *password,
                          const struct addr *local)
{
    struct addr mapped;
    if (m->cls == STUN_ERROR) {
        count_error(f, m);
        return false;
    }
    if (password &&
        (stun_check_integrity_sha256(m, password, strlen(password)) < 0 || stun_check_fingerprint(m) < 0)) {
        stun_faults_add(f, STUN_FAULT_INTEGRITY);
        return false;
    }
    if (stun_mapped_address(m, &mapped) < 0 || !addr_eq(&mapped, local)) {
        stun_faults_add(f, STUN_FAULT_ADDRESS);
        return false;
    }
    return true;
}

/* ---- told ---- */

enum { ERRORS = STUN_ERROR_MOST - STUN_ERROR_LEAST + 1, NAME_LEN = 16 };
static_assert(sizeof((struct stun_faults *)0)->error == ERRORS * sizeof(uint64_t), "one for each code");

/* The next kind from *at on that there is any of: its name, with the error's code behind `between`, and how many.
 * False: no more. */
static bool next(const struct stun_faults *f, size_t *at, char between, char name[static NAME_LEN],
                 uint64_t *n)
{
    for (; *at < STUN_FAULT_KINDS + ERRORS; ++*at) {
        size_t code = *at - STUN_FAULT_KINDS;
        *n = *at < STUN_FAULT_KINDS ? f->kind[*at] : f->error[code];
        if (*n == 0)
            continue;
        if (*at < STUN_FAULT_KINDS)
            snprintf(name, NAME_LEN, "%s", names[*at]);
        else
            snprintf(name, NAME_LEN, "error%c%zu", between, code + STUN_ERROR_LEAST);
        ++*at;
        return true;
    }
    return false;
}

void stun_faults_json(const struct stun_faults *f, FILE *to)
{
    char name[NAME_LEN];
    const char *before = "";
    uint64_t n;
    fputc('{', to);
    for (size_t at = 0; next(f, &at, '_', name, &n); before = ",")
        fprintf(to, "%s\"%s\":%" PRIu64, before, name, n);
    fputc('}', to);
}

void stun_faults_text(const struct stun_faults *f, FILE *to)
{
    char name[NAME_LEN];
    const char *before = " (";
    uint64_t n;
    for (size_t at = 0; next(f, &at, ' ', name, &n); before = ", ")
        fprintf(to, "%s%s %" PRIu64, before, name, n);
    if (before[0] == ',')
        fputc(')', to);
}
