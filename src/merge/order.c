/*-------------------------------------------------------------------------
 *
 * order.c
 *		An order of values that is the same on every server.
 *
 * Where two writes have one timestamp the larger value wins, so that all regions
 * agree whatever came first.  They agree only if none asks its own collation.
 *
 * Locks: none.
 * Must not know: what is compared for what.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "merge/order.h"

#include "catalog/pg_collation.h"
#include "libpq/pqformat.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "common/compat.h"

void
ValueTypeInit(ValueType *type, Oid oid, MemoryContext context)
{
	TypeCacheEntry *entry = lookup_type_cache(oid, TYPECACHE_CMP_PROC);
	Oid			function;
	bool		is_varlena;

	type->type = oid;
	get_typlenbyvalalign(oid, &type->length, &type->by_value, &type->align);
	type->compare.fn_oid = InvalidOid;
	if (OidIsValid(entry->cmp_proc))
		fmgr_info_cxt(entry->cmp_proc, &type->compare, context);
	getTypeBinaryOutputInfo(oid, &function, &is_varlena);
	fmgr_info_cxt(function, &type->send, context);
	getTypeBinaryInputInfo(oid, &function, &type->io_param);
	fmgr_info_cxt(function, &type->receive, context);
}

int
ValueCompare(ValueType *type, Datum a, bool a_isnull, Datum b, bool b_isnull)
{
	bytea	   *a_bytes;
	bytea	   *b_bytes;
	int			result;

	if (a_isnull || b_isnull)
		return (int) b_isnull - (int) a_isnull;
	if (OidIsValid(type->compare.fn_oid))
		return DatumGetInt32(FunctionCall2Coll(&type->compare, C_COLLATION_OID, a, b));
	a_bytes = SendFunctionCall(&type->send, a);
	b_bytes = SendFunctionCall(&type->send, b);
	result = memcmp(VARDATA(a_bytes), VARDATA(b_bytes),
					Min(VARSIZE(a_bytes), VARSIZE(b_bytes)) - VARHDRSZ);
	return result != 0 ? result : (int) VARSIZE(a_bytes) - (int) VARSIZE(b_bytes);
}

void
ValueWrite(StringInfo buffer, ValueType *type, Datum value)
{
	bytea	   *bytes = SendFunctionCall(&type->send, value);

	pq_sendint32(buffer, VARSIZE(bytes) - VARHDRSZ);
	pq_sendbytes(buffer, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
}

Datum
ValueRead(StringInfo buffer, ValueType *type)
{
	StringInfoData part;
	int			length = pq_getmsgint(buffer, 4);

	initStringInfo(&part);
	appendBinaryStringInfo(&part, pq_getmsgbytes(buffer, length), length);
	return ReceiveFunctionCall(&type->receive, &part, type->io_param, -1);
}
