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

#include "storage/lockdefs.h"
#include "utils/builtins.h"

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

Store *
ArgumentOwnedStore(FunctionCallInfo fcinfo)
{
	char	   *name = ArgumentText(fcinfo, 0, "store", true);
	Store	   *store;

	/* Checked before locking as well: a stranger must not hold up a store's pushes. */
	StoreCheckOwner(StoreLookup(name, false));
	StoreLock(name, ExclusiveLock);
	StoreLockRow(name);
	store = StoreLookup(name, false);
	StoreCheckOwner(store);
	return store;
}
