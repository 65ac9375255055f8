/*-------------------------------------------------------------------------
 *
 * item_list.h
 *		Lists in SQL text: "a, b, c".
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_ITEM_LIST_H
#define VENICE_ITEM_LIST_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* Add an item, and a comma before it where it is not the first. */
extern void ItemListAppend(StringInfo list, const char *format,...) pg_attribute_printf(2, 3);

/* The list of these, of char *. */
extern char *ItemListJoin(const List *items);

#endif							/* VENICE_ITEM_LIST_H */
