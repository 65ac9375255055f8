/*-------------------------------------------------------------------------
 *
 * expression.c
 *		Features as SQL expressions: their names, types, and what they read.
 *
 * The server's own parse analysis tells names and types, so that an expression
 * means here what it means in a SELECT.  Analysis does not evaluate, but it reads
 * constants, and a constant of a domain runs the domain's CHECK: hence the
 * identity of the view's owner, who vouches for what he writes.
 *
 * An expression is evaluated later by others than its author: by whoever owns a
 * service.  What it may call is therefore limited to functions that only a
 * superuser can have made, and its types to those that call nothing else.
 *
 * Locks: AccessShareLock on the relations of the FROM clause, to the end of the
 * transaction.
 * Must not know: views, stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/expression.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "common/compat.h"
#include "common/user_context.h"
#include "store/arguments.h"
#include "store/definition.h"

#define SELECT_LIST_HINT \
	"It takes a select list, such as 'n_clicks AS clicks, ctr / 100 AS ctr'."

static bool check_node(Node *node, void *context);

pg_noreturn static void
refuse_list(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("invalid list of features"),
			 errdetail_internal("%s", detail),
			 errhint(SELECT_LIST_HINT)));
	pg_unreachable();
}

pg_noreturn static void
refuse_expression(const char *feature, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("expression of feature \"%s\" is not supported", feature),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
	pg_unreachable();
}

/* The select list of a user's text, which must be nothing else. */
static List *
parse_select_list(const char *select_list)
{
	List	   *statements = ParseUserText("SELECT ", select_list, "\n", SELECT_LIST_HINT);
	SelectStmt *select;

	if (list_length(statements) != 1 ||
		!IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		refuse_list("It is more than one statement.");
	select = castNode(SelectStmt, linitial_node(RawStmt, statements)->stmt);
	if (select->op != SETOP_NONE || select->distinctClause != NIL || select->intoClause != NULL ||
		select->fromClause != NIL || select->whereClause != NULL || select->groupClause != NIL ||
		select->havingClause != NULL || select->windowClause != NIL || select->sortClause != NIL ||
		select->limitOffset != NULL || select->limitCount != NULL || select->lockingClause != NIL ||
		select->withClause != NULL)
		refuse_list("It is more than a select list.");
	if (select->targetList == NIL)
		refuse_list("It is empty.");
	return select->targetList;
}

/* The FROM clause goes into the tree, not into the text, so that positions stay the user's. */
static Query *
analyze(const char *select_list, const char *from)
{
	List	   *targets = parse_select_list(select_list);
	List	   *statements = raw_parser(psprintf("SELECT FROM %s", from), RAW_PARSE_DEFAULT);
	RawStmt    *statement = linitial_node(RawStmt, statements);
	char	   *text = psprintf("SELECT %s", select_list);
	UserText	user = {select_list, strlen("SELECT "), NULL};
	ErrorContextCallback callback = {error_context_stack, UserTextPoint, &user};
	Query	   *query;

	castNode(SelectStmt, statement->stmt)->targetList = targets;
	error_context_stack = &callback;
	query = parse_analyze_fixedparams(statement, text, NULL, 0, NULL);
	error_context_stack = callback.previous;
	return query;
}

/* Can only a superuser have made it, or have had it made? */
static bool
is_trusted(Oid class_id, Oid object, Oid owner)
{
	return object < FirstNormalObjectId ||
		(OidIsValid(getExtensionOfObject(class_id, object)) && superuser_arg(owner));
}

/*
 * Does it read tables, with the rights of whoever evaluates it?  Those of XML read a
 * relation that they are given the name of, which may be a view that calls anything;
 * ours, but for arithmetic, read stores and the registry.
 */
static bool
runs_queries(Oid function, char volatility)
{
	switch (function)
	{
		case F_TABLE_TO_XML:
		case F_TABLE_TO_XMLSCHEMA:
		case F_TABLE_TO_XML_AND_XMLSCHEMA:
		case F_SCHEMA_TO_XML:
		case F_SCHEMA_TO_XMLSCHEMA:
		case F_SCHEMA_TO_XML_AND_XMLSCHEMA:
		case F_DATABASE_TO_XML:
		case F_DATABASE_TO_XMLSCHEMA:
		case F_DATABASE_TO_XML_AND_XMLSCHEMA:
			return true;
		default:
			return volatility != PROVOLATILE_IMMUTABLE &&
				getExtensionOfObject(ProcedureRelationId, function) ==
				get_extension_oid("venice", false);
	}
}

static bool
check_function(Oid function, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc procedure;
	bool		trusted;
	char		volatility;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	procedure = (Form_pg_proc) GETSTRUCT(tuple);
	trusted = is_trusted(ProcedureRelationId, function, procedure->proowner);
	volatility = procedure->provolatile;
	ReleaseSysCache(tuple);

	if (!trusted)
		refuse_expression(context,
						  psprintf("Function %s is neither built in nor an extension's.",
								   format_procedure(function)),
						  "Compute the value in a view or a query, and make that the source.");
	if (runs_queries(function, volatility))
		refuse_expression(context, psprintf("Function %s runs queries.", format_procedure(function)),
						  "Compute the value in a view or a query, and make that the source.");
	if (volatility == PROVOLATILE_VOLATILE)
		refuse_expression(context, psprintf("Function %s is volatile.", format_procedure(function)),
						  "A feature has one value for the same input: use stable and immutable functions.");
	return false;
}

/*
 * A value of a domain, or of what may hold one, is made by calling the domain's
 * CHECK, even by a built-in function.
 */
static void
check_type(const char *feature, Oid type)
{
	Oid			element = get_element_type(type);
	HeapTuple	tuple;
	Form_pg_type form;
	bool		trusted;
	bool		is_temporary;

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(OidIsValid(element) ? element : type));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	trusted = form->typtype == TYPTYPE_ENUM || form->typtype == TYPTYPE_BASE ||
		is_trusted(TypeRelationId, form->oid, form->typowner);
	is_temporary = isAnyTempNamespace(form->typnamespace);
	ReleaseSysCache(tuple);
	if (is_temporary)
		refuse_expression(feature, psprintf("Type %s is gone after this session.",
											format_type_be(type)),
						  "Make the type in a schema that stays.");
	if (!trusted)
		refuse_expression(feature, psprintf("It computes a value of type %s.", format_type_be(type)),
						  "A domain, or composite or range type that is not an extension's, can only be read as it is.");
}

/*
 * Could somebody who is no superuser have made a cast from the type?  Functions of
 * JSON call such a cast by themselves.
 */
static bool
is_users_type(Oid type)
{
	Oid			element = get_element_type(type);
	HeapTuple	tuple;
	Form_pg_type form;
	bool		users;

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(OidIsValid(element) ? element : type));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	users = form->oid >= FirstNormalObjectId && !superuser_arg(form->typowner);
	ReleaseSysCache(tuple);
	return users;
}

static bool
check_argument(Node *argument, void *context)
{
	if (argument == NULL)
		return false;
	if (IsA(argument, List))
		return expression_tree_walker(argument, check_argument, context);
	if (is_users_type(exprType(argument)))
		refuse_expression(context, psprintf("It calls a function with a value of type %s.",
											format_type_be(exprType(argument))),
						  "Read the column as it is, compare it, or cast it to text.");
	return false;
}

/* Nodes that do with a value what its type says, or nothing. */
static bool
is_harmless(const Node *node)
{
	switch (nodeTag(node))
	{
		case T_ArrayExpr:
		case T_BooleanTest:
		case T_BoolExpr:
		case T_CaseExpr:
		case T_CoalesceExpr:
		case T_CoerceViaIO:
		case T_DistinctExpr:
		case T_FieldSelect:
		case T_MinMaxExpr:
		case T_NullIfExpr:
		case T_NullTest:
		case T_OpExpr:
		case T_RelabelType:
		case T_ScalarArrayOpExpr:
		case T_SubscriptingRef:
			return true;
		default:
			return false;
	}
}

static void
check_variable(const char *feature, const Var *variable)
{
	if (variable->varattno < 0)
		refuse_expression(feature, "It reads a system column.", "Read columns by their names.");
	if (variable->varattno == 0)
		refuse_expression(feature, "It reads a whole row.", "Read columns by their names.");
}

static bool
check_node(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		check_variable(context, (Var *) node);
		return false;
	}
	if (!IsA(node, List) && !IsA(node, CaseWhen))
	{
		check_type(context, exprType(node));
		if (!is_harmless(node))
			(void) expression_tree_walker(node, check_argument, context);
		(void) check_functions_in_node(node, check_function, context);
	}
	return expression_tree_walker(node, check_node, context);
}

static void
check_query(const Query *query)
{
	const char *found = query->hasSubLinks ? "subqueries" :
		query->hasAggs ? "aggregate functions" :
		query->hasWindowFuncs ? "window functions" :
		query->hasTargetSRFs ? "set-returning functions" : NULL;

	if (found != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use %s in a feature", found),
				 errhint("Compute them in a view or a query, and make that the source.")));
}

static void
check_name(const TargetEntry *target)
{
	const char *name = target->resname;

	if (strcmp(name, "?column?") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("feature %d has no name", target->resno),
				 errhint("Write \"expression AS name\".")));
	if (name[0] == '_')
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("feature name \"%s\" is reserved", name),
				 errdetail("Names that begin with \"_\" are for bookkeeping.")));
	if (name[strcspn(name, ".@:*'\" \t\r\n")] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid feature name: \"%s\"", name),
				 errdetail("Names hold no \".\", \"@\", \":\", \"*\", quotes or white space.")));
}

/* Every name qualified, columns too. */
static char *
deparse(Node *expression, List *rtable)
{
	PlannedStmt *statement = makeNode(PlannedStmt);
	List	   *names = NIL;
	ListCell   *cell;
	int			nest_level = NewGUCNestLevel();
	char	   *text;

	statement->rtable = rtable;
	foreach(cell, rtable)
		names = lappend(names, lfirst_node(RangeTblEntry, cell)->eref->aliasname);
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	text = deparse_expression(expression, deparse_context_for_plan_tree(statement, names), true,
							  false);
	AtEOXact_GUC(false, nest_level);
	return text;
}

static List *
columns_of(Node *expression, List *rtable)
{
	List	   *columns = NIL;
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, pull_var_clause(expression, 0))
	{
		Var		   *variable = lfirst_node(Var, cell);
		RangeTblEntry *entry = rt_fetch(variable->varno, rtable);
		ExpressionColumn *column = palloc(sizeof(ExpressionColumn));
		bool		known = false;

		column->relation = entry->eref->aliasname;
		column->name = get_rte_attribute_name(entry, variable->varattno);
		foreach(other, columns)
		{
			const ExpressionColumn *before = lfirst(other);

			known |= strcmp(before->relation, column->relation) == 0 &&
				strcmp(before->name, column->name) == 0;
		}
		if (!known)
			columns = lappend(columns, column);
	}
	return columns;
}

static Expression *
expression_of(TargetEntry *target, List *rtable)
{
	Expression *expression = palloc(sizeof(Expression));
	Node	   *node = (Node *) target->expr;
	Oid			type = exprType(node);

	check_name(target);
	(void) check_node(node, target->resname);
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		refuse_expression(target->resname, psprintf("Its type is %s.", format_type_be(type)),
						  "A feature is a column of a table: cast it to a type that such a column can have.");
	expression->name = target->resname;
	expression->type_name = DefinitionTypeName(type, exprTypmod(node));
	expression->text = deparse(node, rtable);
	expression->is_column = IsA(node, Var);
	expression->columns = columns_of(node, rtable);
	return expression;
}

List *
ExpressionsParse(const char *select_list, const char *from, Oid owner)
{
	UserContext user;
	Query	   *query;
	List	   *expressions = NIL;
	ListCell   *cell;
	ListCell   *later;

	UserContextEnterToRead(&user, owner);
	query = analyze(select_list, from);
	check_query(query);
	foreach(cell, query->targetList)
		expressions = lappend(expressions, expression_of(lfirst(cell), query->rtable));
	UserContextLeave(&user);

	foreach(cell, expressions)
		for_each_cell(later, expressions, lnext(expressions, cell))
		{
			const char *name = ((Expression *) lfirst(cell))->name;

			if (strcmp(name, ((Expression *) lfirst(later))->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("feature \"%s\" specified more than once", name)));
		}
	return expressions;
}
