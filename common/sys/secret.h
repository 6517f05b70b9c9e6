/* Texts that nobody may find in memory afterwards. */
#ifndef BERTH_SYS_SECRET_H
#define BERTH_SYS_SECRET_H

/* Wipes and frees; NULL is fine. */
void secret_free(char *text);

#endif
