/* The database schema as numbered migrations, ascending without gaps from 1. */
#ifndef BERTH_SCHEMA_H
#define BERTH_SCHEMA_H

#include <stddef.h>

struct schema_migration {
    int version;
    const char *name;
    const char *sql; /* several statements, run in one transaction */
};

extern const struct schema_migration schema_migrations[];
extern const size_t schema_migrations_n;

#endif
