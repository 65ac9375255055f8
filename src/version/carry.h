/*-------------------------------------------------------------------------
 *
 * carry.h
 *		What is attached to the current version and follows at a swap.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CARRY_H
#define VENICE_CARRY_H

/*
 * From here to the end of the transaction whoever changes privileges or options of
 * records, or of its columns, fails: what CarryAttachments reads is what there is.
 */
extern void CarryBegin(Oid records);

/*
 * Make schema to and its records look like from and its records: owner,
 * privileges of schema, table and columns, comments, table options, row security and
 * its policies, with what they read of their own table; and give it what belongs to
 * whatever schema is current: default privileges, places of statistics objects.  In
 * the swap's transaction, as the extension's owner; runs no user code.  Raises what a
 * policy raises that names a column which is gone, or has aliases for others.
 */
extern void CarryAttachments(Oid from_schema, Oid from_records, Oid to_schema, Oid to_records);

#endif							/* VENICE_CARRY_H */
