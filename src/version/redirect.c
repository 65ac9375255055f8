/*-------------------------------------------------------------------------
 *
 * redirect.c
 *		Having what was said of one version's table said of another one's.
 *
 * Views, and policies with subqueries, know tables by OID.  They are deparsed and
 * parsed again; what is changed is the parse tree and not the text, so that no
 * name can be mistaken for another.
 *
 * Locks: AccessShareLock on both tables.
 * Must not know: what is made of the tree.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/redirect.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

typedef struct Redirection
{
	const char *from_schema;
	const char *to_schema;
	bool		same_columns;	/* by name, number and order */
	bool		reads;			/* is from_schema's records read as a table? */
	const Alias *misfit;		/* the first that the other table would not fit */
	Oid			owner;			/* of what is parsed, or InvalidOid */
} Redirection;

static bool
same_columns(Oid one, Oid other)
{
	Relation	left = table_open(one, AccessShareLock);
	Relation	right = table_open(other, AccessShareLock);
	TupleDesc	a = RelationGetDescr(left);
	TupleDesc	b = RelationGetDescr(right);
	int			i = 0;
	int			j = 0;
	bool		same = true;

	while (same && (i < a->natts || j < b->natts))
	{
		if (i < a->natts && TupleDescAttr(a, i)->attisdropped)
			i++;
		else if (j < b->natts && TupleDescAttr(b, j)->attisdropped)
			j++;
		else if (i == a->natts || j == b->natts)
			same = false;
		else
			same = strcmp(NameStr(TupleDescAttr(a, i++)->attname),
						  NameStr(TupleDescAttr(b, j++)->attname)) == 0;
	}
	table_close(right, AccessShareLock);
	table_close(left, AccessShareLock);
	return same;
}

/*
 * Column aliases go by position, also those of a join above the table: over other
 * columns they would name the wrong ones, without an error.
 */
static void
note_aliases(const Alias *alias, Redirection *redirection)
{
	if (redirection->misfit == NULL && alias != NULL && alias->colnames != NIL &&
		!redirection->same_columns)
		redirection->misfit = alias;
}

static Oid
type_owner(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			owner = ((Form_pg_type) GETSTRUCT(tuple))->typowner;

	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Raise 42501 if reading a value of the type runs code of somebody who is neither the
 * given owner nor a superuser.
 */
static void
check_constant(Oid type, Oid owner)
{
	TupleDesc	descriptor;

	check_stack_depth();
	if (OidIsValid(get_element_type(type)))
		check_constant(get_element_type(type), owner);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			if (DomainHasConstraints(type) && type_owner(type) != owner &&
				!superuser_arg(type_owner(type)))
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("a constant in it would be checked by domain %s, which is somebody else's",
								format_type_be(type))));
			check_constant(getBaseType(type), owner);
			break;
		case TYPTYPE_COMPOSITE:
			descriptor = lookup_rowtype_tupdesc(type, -1);
			for (int i = 0; i < descriptor->natts; i++)
				if (!TupleDescAttr(descriptor, i)->attisdropped)
					check_constant(TupleDescAttr(descriptor, i)->atttypid, owner);
			ReleaseTupleDesc(descriptor);
			break;
		case TYPTYPE_RANGE:
			check_constant(get_range_subtype(type), owner);
			break;
		case TYPTYPE_MULTIRANGE:
			check_constant(get_multirange_range(type), owner);
			break;
		default:
			break;
	}
}

/* Change the schema of records wherever the parse tree names it: as table, as type, as regclass. */
static bool
redirect(Node *node, void *context)
{
	Redirection *redirection = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		RangeVar   *relation = (RangeVar *) node;

		if (relation->schemaname != NULL &&
			strcmp(relation->schemaname, redirection->from_schema) == 0 &&
			strcmp(relation->relname, "records") == 0)
		{
			relation->schemaname = pstrdup(redirection->to_schema);
			redirection->reads = true;
			note_aliases(relation->alias, redirection);
		}
	}
	else if (IsA(node, JoinExpr))
		note_aliases(((JoinExpr *) node)->alias, redirection);
	else if (IsA(node, TypeName))
	{
		TypeName   *type = (TypeName *) node;

		if (list_length(type->names) == 2 &&
			strcmp(strVal(linitial(type->names)), redirection->from_schema) == 0 &&
			strcmp(strVal(lsecond(type->names)), "records") == 0)
			type->names = list_make2(makeString(pstrdup(redirection->to_schema)),
									 lsecond(type->names));
	}
	else if (IsA(node, TypeCast) && IsA(((TypeCast *) node)->arg, A_Const))
	{
		TypeCast   *cast = (TypeCast *) node;
		A_Const    *constant = (A_Const *) cast->arg;

		if (OidIsValid(redirection->owner))
			check_constant(typenameTypeId(NULL, cast->typeName), redirection->owner);
		if (!constant->isnull && IsA(&constant->val, String) &&
			strcmp(strVal(llast(cast->typeName->names)), "regclass") == 0 &&
			strcmp(strVal(&constant->val),
				   quote_qualified_identifier(redirection->from_schema, "records")) == 0)
			constant->val.sval.sval =
				quote_qualified_identifier(redirection->to_schema, "records");
	}
	return raw_expression_tree_walker(node, redirect, context);
}

void
RecordsRedirect(Node *tree, Oid from, Oid to, Oid owner)
{
	Redirection redirection = {0};

	redirection.from_schema = get_namespace_name(get_rel_namespace(from));
	redirection.to_schema = get_namespace_name(get_rel_namespace(to));
	redirection.owner = owner;
	redirection.same_columns = same_columns(from, to);
	(void) redirect(tree, &redirection);
	if (redirection.reads && redirection.misfit != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column aliases of \"%s\" do not fit the columns of the new version",
						redirection.misfit->aliasname)));
}
