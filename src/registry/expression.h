/*-------------------------------------------------------------------------
 *
 * expression.h
 *		Features as SQL expressions: their names, types, and what they read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_EXPRESSION_H
#define VENICE_EXPRESSION_H

#include "nodes/pg_list.h"

/* A column that an expression reads. */
typedef struct ExpressionColumn
{
	char	   *relation;		/* alias in the FROM clause */
	char	   *name;
} ExpressionColumn;

typedef struct Expression
{
	char	   *name;
	char	   *type_name;		/* SQL text with modifiers, qualified where needed */
	char	   *text;			/* means the same under any search_path */
	bool		is_column;		/* nothing but one column */
	List	   *columns;		/* of ExpressionColumn, each once */
} Expression;

/*
 * Take a select list apart, which a user wrote, over a FROM clause of ours.  It is
 * analysed as owner, with the caller's search_path; nothing in it is evaluated but
 * constants.  42601 for what is no select list, 0A000 for what a feature cannot be.
 */
extern List *ExpressionsParse(const char *select_list, const char *from, Oid owner);

#endif							/* VENICE_EXPRESSION_H */
