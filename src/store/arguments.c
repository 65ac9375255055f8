/*-------------------------------------------------------------------------
 *
 * arguments.c
 *		Arguments of the SQL functions on stores.
 *
 * Locks: takes StoreLock before it looks the store up, so that what it returns
 * cannot change under the caller.
 * Must not know: what the functions do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/arguments.h"

#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "storage/lockdefs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static char *
function_name(FunctionCallInfo fcinfo)
{
	return psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid));
}

void
FunctionPreventInRecovery(FunctionCallInfo fcinfo)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", function_name(fcinfo)),
				 errhint("Run it on the primary server.")));
}

void
FunctionRequireWritable(FunctionCallInfo fcinfo)
{
	FunctionPreventInRecovery(fcinfo);
	PreventCommandIfReadOnly(function_name(fcinfo));
}

char *
ArgumentText(FunctionCallInfo fcinfo, int number, const char *name, bool required)
{
	if (!PG_ARGISNULL(number))
		return text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (required)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return NULL;
}

Jsonb *
ArgumentOptions(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	return PG_GETARG_JSONB_P(number);
}

int32
ArgumentInt4(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return PG_GETARG_INT32(number);
}

/* Positions are in a statement that the user has never seen: make them his. */
void
UserTextPoint(void *user_text)
{
	const UserText *user = user_text;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(Max(position - user->offset, 1));
		internalerrquery(user->text);
		if (user->hint != NULL)
			errhint("%s", user->hint);
	}
}

List *
ParseUserText(const char *before, const char *text, const char *after, const char *hint)
{
	char	   *sql = psprintf("%s%s%s", before, text, after);
	UserText	user = {text, pg_mbstrlen(before), hint};
	ErrorContextCallback callback = {error_context_stack, UserTextPoint, &user};
	List	   *statements;

	error_context_stack = &callback;
	statements = raw_parser(sql, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	return statements;
}

Store *
ArgumentOwnedStore(FunctionCallInfo fcinfo)
{
	char	   *name = ArgumentText(fcinfo, 0, "store", true);
	Store	   *store;

	FunctionRequireWritable(fcinfo);

	/* Checked before locking as well: a stranger must not hold up a store's pushes. */
	StoreCheckOwner(StoreLookup(name, false));
	StoreLock(name, ExclusiveLock);
	StoreLockRow(name);
	store = StoreLookup(name, false);
	StoreCheckOwner(store);
	return store;
}
