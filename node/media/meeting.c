/* Meetings: found by org and id, made with the first leg, gone with the last. Invariant: a leg's slot is its own
 * from when it is seated until it is unseated, and every source has room for numbers of every slot. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LEGS_FIRST = 4 };

struct name {
    const char *org, *id;
};

static bool is_meeting(const void *item, const void *key)
{
    const struct meeting *m = item;
    const struct name *n = key;
    return strcmp(m->org, n->org) == 0 && strcmp(m->id, n->id) == 0;
}

static uint64_t name_hash(const struct media_home *h, const char *org, const char *id)
{
    char text[ORG_ID_MAX + 1 + TICKET_MEETING_MAX];
    size_t org_len = strlen(org), id_len = strlen(id);
    memcpy(text, org, org_len);
    text[org_len] = '\0';
    memcpy(text + org_len + 1, id, id_len);
    return media_hash(h, text, org_len + 1 + id_len);
}

struct meeting *meeting_find(const struct media_home *h, const char *org, const char *id)
{
    return media_table_get(&h->by_name, name_hash(h, org, id), is_meeting, &(struct name){org, id});
}

static int list_add(struct media_home *h, struct meeting *m)
{
    if (h->n_meetings == h->meeting_room) {
        size_t room = h->meeting_room ? 2 * h->meeting_room : LEGS_FIRST;
        struct meeting **grown = realloc(h->meetings, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        h->meetings = grown;
        h->meeting_room = room;
    }
    m->index = h->n_meetings;
    h->meetings[h->n_meetings++] = m;
    return 0;
}

struct meeting *meeting_make(struct media_home *h, const char *org, const char *id)
{
    struct meeting *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->home = h;
    m->last_n = MEDIA_LAST_N;
    memcpy(m->org, org, strlen(org) + 1);
    memcpy(m->id, id, strlen(id) + 1);
    m->hash = name_hash(h, org, id);
    if (media_table_put(&h->by_name, m->hash, m) < 0) {
        free(m);
        return NULL;
    }
    if (list_add(h, m) < 0) {
        media_table_drop(&h->by_name, m->hash, m);
        free(m);
        return NULL;
    }
    return m;
}

void meeting_drop_empty(struct meeting *m)
{
    struct media_home *h = m->home;
    if (m->n_legs > 0)
        return;
    media_table_drop(&h->by_name, m->hash, m);
    h->meetings[m->index] = h->meetings[--h->n_meetings];
    h->meetings[m->index]->index = m->index;
    for (size_t i = 0; i < m->n_sources; i++)
        source_destroy(m, m->source_list[i]);
    media_table_clear(&m->sources);
    free(m->source_list);
    free(m->shares);
    free(m->people);
    free(m->spent);
    free(m->legs);
    free(m);
}

static int grow(struct meeting *m)
{
    size_t room = m->room ? 2 * m->room : LEGS_FIRST;
    struct leg **grown = realloc(m->legs, room * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    m->legs = grown;
    memset(m->legs + m->room, 0, (room - m->room) * sizeof(*m->legs));
    for (size_t i = 0; i < m->n_sources; i++) {
        struct source *s = m->source_list[i];
        int err = s->to ? source_receivers(s, room) : 0;
        if (err < 0)
            return err;
    }
    m->room = room;
    return 0;
}

int meeting_seat(struct meeting *m, struct leg *l)
{
    size_t slot = 0;
    while (slot < m->n_slots && m->legs[slot])
        slot++;
    int err = slot == m->room ? grow(m) : 0;
    if (err < 0)
        return err;
    m->legs[slot] = l;
    l->slot = slot;
    l->meeting = m;
    m->n_legs++;
    if (slot == m->n_slots)
        m->n_slots++;
    return 0;
}

void meeting_unseat(struct meeting *m, struct leg *l)
{
    m->legs[l->slot] = NULL;
    m->n_legs--;
    while (m->n_slots > 0 && !m->legs[m->n_slots - 1])
        m->n_slots--;
}

struct leg *meeting_leg_of(const struct meeting *m, uint64_t owner)
{
    for (size_t i = 0; i < m->n_slots; i++) {
        if (m->legs[i] && m->legs[i]->owner == owner)
            return m->legs[i];
    }
    return NULL;
}
