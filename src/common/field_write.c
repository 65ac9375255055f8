/*-------------------------------------------------------------------------
 *
 * field_write.c
 *		What a write does to one column, and which columns it can be done to.
 *
 * Locks: none.
 * Must not know: where writes come from, and how they are done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/field_write.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

Oid
FieldAddFunction(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			operator;
	char		category;
	bool		preferred;

	get_type_category_preferred(base, &category, &preferred);
	if (category != TYPCATEGORY_NUMERIC)
		return InvalidOid;
	operator = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("+")), base, base);
	return OidIsValid(operator) ? get_opcode(operator) : InvalidOid;
}

void
FieldWriteCheck(const char *column, Oid type, FieldChange change)
{
	Oid			base = getBaseType(type);

	if (change == FIELD_ADD && !OidIsValid(FieldAddFunction(type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is no number", column),
				 errdetail("Its type is %s.", format_type_be(type))));
	if (change == FIELD_MEMBERS && base != JSONBOID && !OidIsValid(get_base_element_type(base)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has no members to add or take out", column),
				 errdetail("Its type is %s.", format_type_be(type)),
				 errhint("Arrays and jsonb objects have.")));
}
