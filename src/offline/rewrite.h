/*-------------------------------------------------------------------------
 *
 * rewrite.h
 *		Giving a table other files, made beside it, while it is read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_REWRITE_H
#define VENICE_REWRITE_H

#include "access/transam.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

typedef struct Rewrite
{
	Relation	table;
	Oid			heap;			/* what it will consist of */
	List	   *indexes;		/* OIDs of the table's */
	List	   *new_indexes;	/* and of the heap's, in the same order */
	TransactionId oldest_xmin;
	TransactionId freeze_limit;
	MultiXactId multi_limit;
	double		rows;
} Rewrite;

/*
 * Begin: from here to the end of the transaction nobody else writes the table.  In a
 * session of the table's owner, as the rest.  NULL: the table is gone.
 */
extern Rewrite *RewriteBegin(Oid table);

/*
 * Fill it with the table's rows in the order of an index's columns, which is made for it
 * of "a, b DESC".  Every snapshot finds them as before; 55P03 while one may see rows that
 * are deleted.
 */
extern void RewriteSort(Rewrite *rewrite, const char *columns);

/* Or write it oneself: what is stored out of line goes to where the table has it. */
extern Relation RewriteHeapOpen(const Rewrite *rewrite);
extern void RewriteHeapClose(Relation heap);

/* Make the indexes, and statistics. */
extern void RewriteFinish(Rewrite *rewrite);

/*
 * Put it in the place of the table's files, waiting for readers that many milliseconds;
 * 55P03 after that.
 */
extern void RewriteSwap(Rewrite *rewrite, int timeout_ms);

/* Make the indexes of one table on another one; their OIDs in the same order. */
extern List *IndexesClone(Relation from, Relation to);

#endif							/* VENICE_REWRITE_H */
