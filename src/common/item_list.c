/*-------------------------------------------------------------------------
 *
 * item_list.c
 *		Lists in SQL text: "a, b, c".
 *
 * Locks: none.
 * Must not know: what the items are; they are quoted already where they need it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/item_list.h"

void
ItemListAppend(StringInfo list, const char *format,...)
{
	if (list->len > 0)
		appendStringInfoString(list, ", ");
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(list, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(list, needed);
	}
}

char *
ItemListJoin(const List *items)
{
	StringInfoData list;
	const ListCell *cell;

	initStringInfo(&list);
	foreach(cell, items)
		ItemListAppend(&list, "%s", (char *) lfirst(cell));
	return list.data;
}
