/*-------------------------------------------------------------------------
 *
 * user_context.c
 *		Acting as somebody else for a stretch of code.
 *
 * Two identities are taken on: the extension's owner, for our own tables and
 * for schema DDL on names that come from the catalog only; and the owner of a
 * store, for everything that may run code of his (index expressions, defaults,
 * CHECKs).  Both with search_path locked, since either could otherwise be led
 * to somebody else's function of the same name.
 *
 * Locks: ExtensionHold's, AccessShareLock on the extension; otherwise those of a
 * catalog scan.
 * Must not know: stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/user_context.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"

void
UserContextEnter(UserContext *context, Oid role)
{
	GetUserIdAndSecContext(&context->saved_user, &context->saved_security);
	context->saved_nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(role, context->saved_security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

void
UserContextEnterToRead(UserContext *context, Oid role)
{
	char	   *search_path = pstrdup(namespace_search_path);

	UserContextEnter(context, role);
	(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	pfree(search_path);
}

void
UserContextLeave(UserContext *context)
{
	AtEOXact_GUC(false, context->saved_nest_level);
	SetUserIdAndSecContext(context->saved_user, context->saved_security);
}

/* The extension's row: its OID, owner and maker; InvalidOid without the extension. */
static Oid
find_extension(Oid *owner, TransactionId *maker)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			extension = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("venice"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
		*owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
		*maker = HeapTupleHeaderGetXmin(tuple->t_data);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return extension;
}

bool
ExtensionHold(void)
{
	Oid			owner;
	TransactionId maker;
	Oid			extension = find_extension(&owner, &maker);

	if (!OidIsValid(extension))
		return false;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);

	/*
	 * What has made it is seen a moment before it tells the others of the schemas
	 * and tables that it has replaced; it lets its transaction id go after that.
	 */
	if (TransactionIdIsNormal(maker) && !TransactionIdIsCurrentTransactionId(maker))
	{
		XactLockTableWait(maker, NULL, NULL, XLTW_None);
		AcceptInvalidationMessages();
	}
	/* Who had it locked may have dropped it. */
	return find_extension(&owner, &maker) == extension;
}

/*
 * ExtensionOwner
 *		Who owns the extension in this database.
 *
 * Raises 55000 when there is no such extension, which happens to a generated
 * function that outlived it only if somebody kept the library loaded.
 */
Oid
ExtensionOwner(void)
{
	Oid			owner = InvalidOid;
	TransactionId maker;

	(void) find_extension(&owner, &maker);
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"venice\" is not installed in this database"),
				 errhint("Install it with CREATE EXTENSION venice.")));
	return owner;
}
