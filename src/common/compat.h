/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Differences between PostgreSQL majors; the only place that tests
 *		PG_VERSION_NUM.
 *
 * Each shim names the major that made it unnecessary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_COMPAT_H
#define VENICE_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "venice needs PostgreSQL 15 or later"
#endif

#include "access/attmap.h"
#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_class.h"
#include "commands/alter.h"
#include "commands/defrem.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#endif

/* 16 gave the access checks one name for all classes of objects. */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_type.h"

static inline bool
object_ownercheck(Oid class_id, Oid object_id, Oid role_id)
{
	switch (class_id)
	{
		case NamespaceRelationId:
			return pg_namespace_ownercheck(object_id, role_id);
		case DatabaseRelationId:
			return pg_database_ownercheck(object_id, role_id);
		default:
			elog(ERROR, "unexpected class of object: %u", class_id);
	}
	return false;
}

static inline AclResult
object_aclcheck(Oid class_id, Oid object_id, Oid role_id, AclMode mode)
{
	switch (class_id)
	{
		case NamespaceRelationId:
			return pg_namespace_aclcheck(object_id, role_id, mode);
		case ProcedureRelationId:
			return pg_proc_aclcheck(object_id, role_id, mode);
		case DatabaseRelationId:
			return pg_database_aclcheck(object_id, role_id, mode);
		case ForeignServerRelationId:
			return pg_foreign_server_aclcheck(object_id, role_id, mode);
		case TableSpaceRelationId:
			return pg_tablespace_aclcheck(object_id, role_id, mode);
		case TypeRelationId:
			return pg_type_aclcheck(object_id, role_id, mode);
		default:
			elog(ERROR, "unexpected class of object: %u", class_id);
	}
	return ACLCHECK_NO_PRIV;
}
#endif

/* 16 can say otherwise than by an error that a name is wrong. */
#if PG_VERSION_NUM < 160000
#define typeStringToTypeName(text, context)	typeStringToTypeName(text)
#endif

/* 16 tells being a member of a role from being allowed to become it. */
#if PG_VERSION_NUM < 160000
#define check_can_set_role(member, role)	check_is_member_of_role(member, role)
#endif

/* 16 keeps what is to be checked beside the range table. */
#if PG_VERSION_NUM < 160000
#define ExecCheckPermissions(range_table, permissions, raise) ExecCheckRTPerms(range_table, raise)
#endif

/* 16 can be told which of the relations are the statement's own. */
#if PG_VERSION_NUM < 160000
#define EvalPlanQualInit(epq, estate, plan, marks, parameter, relations) \
	EvalPlanQualInit(epq, estate, plan, marks, parameter)
#endif

/* 16 renamed the look into what backends are doing. */
#if PG_VERSION_NUM < 160000
#define BackendStatusByIndex(i)	(&pgstat_fetch_stat_local_beentry(i)->backendStatus)
#else
#define BackendStatusByIndex(i)	(&pgstat_get_local_beentry_by_index(i)->backendStatus)
#endif

/* 16 calls a relation's file by its number. */
#if PG_VERSION_NUM < 160000
#define RelationFileNumber(relation)	((relation)->rd_node.relNode)
#else
#define RelationFileNumber(relation)	((relation)->rd_locator.relNumber)
#endif

/*
 * Two relations have exchanged their files, in pg_class: that of the first is new in this
 * transaction.  16 calls them locators.
 */
static inline void
RelationFilesExchanged(Relation one, Relation other)
{
	other->rd_createSubid = one->rd_createSubid;
#if PG_VERSION_NUM < 160000
	other->rd_newRelfilenodeSubid = one->rd_newRelfilenodeSubid;
	other->rd_firstRelfilenodeSubid = one->rd_firstRelfilenodeSubid;
	RelationAssumeNewRelfilenode(one);
#else
	other->rd_newRelfilelocatorSubid = one->rd_newRelfilelocatorSubid;
	other->rd_firstRelfilelocatorSubid = one->rd_firstRelfilelocatorSubid;
	RelationAssumeNewRelfilelocator(one);
#endif
	RelationCloseSmgr(one);
	RelationCloseSmgr(other);
}

/* 16 can be told how many partitions there are, for its progress. */
#if PG_VERSION_NUM < 160000
#define DefineIndex(table, statement, index, parent_index, parent_constraint, parts, is_alter, \
					rights, in_use, skip_build, quiet) \
	DefineIndex(table, statement, index, parent_index, parent_constraint, is_alter, rights, \
				in_use, skip_build, quiet)
#define build_attrmap_by_name(from, to, missing_ok)	build_attrmap_by_name(from, to)
#endif

/* 17 lets an extension name its wait events. */
#if PG_VERSION_NUM >= 170000
#define WaitEventNamed(name)	WaitEventExtensionNew(name)
#else
#define WaitEventNamed(name)	PG_WAIT_EXTENSION
#endif

/* 17 opens the catalog itself, and takes its id. */
static inline void
ObjectChangeOwner(Oid class_id, Oid object_id, Oid owner)
{
#if PG_VERSION_NUM < 170000
	Relation	catalog = table_open(class_id, RowExclusiveLock);

	AlterObjectOwner_internal(catalog, object_id, owner);
	table_close(catalog, RowExclusiveLock);
#else
	AlterObjectOwner_internal(class_id, object_id, owner);
#endif
}

/* 17 can be given a lexer, and does not want to write to the text. */
#if PG_VERSION_NUM < 170000
#define makeJsonLexContextCstringLen(lexer, text, bytes, encoding, need_escapes) \
	makeJsonLexContextCstringLen(unconstify(char *, text), bytes, encoding, need_escapes)
#endif

/* 17 frees a wait set with its owner; with none it lives as long as the session. */
#if PG_VERSION_NUM < 170000
#define CreateWaitEventSet(owner, count)	CreateWaitEventSet(TopMemoryContext, count)
#endif

/* 17 looks at statistics. */
#if PG_VERSION_NUM < 170000
#define estimate_array_length(root, array)	estimate_array_length(array)
#endif

/* 18 counts the pages that are frozen. */
static inline void
ClassExchangeFrozenPages(Form_pg_class one, Form_pg_class other)
{
#if PG_VERSION_NUM >= 180000
	int32		saved = one->relallfrozen;

	one->relallfrozen = other->relallfrozen;
	other->relallfrozen = saved;
#endif
}

/* 18 says it as C11 does, before everything else. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn	pg_attribute_noreturn()
#endif

/* 18 asks whether a deferrable key will do. */
#if PG_VERSION_NUM < 180000
#define RelationGetPrimaryKeyIndex(relation, deferrable_ok)	RelationGetPrimaryKeyIndex(relation)
#endif

/* 18 sees by itself that a query is to be run to its end. */
#if PG_VERSION_NUM < 180000
#define ExecutorRun(query, direction, count) \
	ExecutorRun(query, direction, count, (count) == 0)
#endif

/* 18 can be asked to count. */
#if PG_VERSION_NUM < 180000
#define index_beginscan(table, index, snapshot, counts, keys, order_bys) \
	index_beginscan(table, index, snapshot, keys, order_bys)
#endif

/* 16 keeps rights apart from relations, 18 knows which of these are pruned. */
static inline void
ExecInitRelation(EState *estate, Oid relation, LOCKMODE lock_mode)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);
#if PG_VERSION_NUM >= 160000
	List	   *permissions = NIL;
#endif

	entry->rtekind = RTE_RELATION;
	entry->relid = relation;
	entry->relkind = RELKIND_RELATION;
	entry->rellockmode = lock_mode;
#if PG_VERSION_NUM < 160000
	ExecInitRangeTable(estate, list_make1(entry));
#else
	(void) addRTEPermissionInfo(&permissions, entry);
#if PG_VERSION_NUM < 180000
	ExecInitRangeTable(estate, list_make1(entry), permissions);
#else
	ExecInitRangeTable(estate, list_make1(entry), permissions, bms_make_singleton(1));
#endif
#endif
}

/* 16 says which indexes an update leaves as they are, 15 whether it leaves all. */
#if PG_VERSION_NUM < 160000
typedef bool TU_UpdateIndexes;
#endif

/* 16 can leave out indexes that only summarize; 18 has the row that is being updated. */
#if PG_VERSION_NUM < 160000
#define ExecInsertIndexTuples(result, slot, estate, update, quiet, conflict, arbiters, partly) \
	ExecInsertIndexTuples(result, slot, estate, update, quiet, conflict, arbiters)
#endif
#if PG_VERSION_NUM < 180000
#define ExecCheckIndexConstraints(result, slot, estate, conflict, row, arbiters) \
	ExecCheckIndexConstraints(result, slot, estate, conflict, arbiters)
#endif

#endif							/* VENICE_COMPAT_H */
