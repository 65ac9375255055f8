/*-------------------------------------------------------------------------
 *
 * gate.h
 *		The table that keeps a store from being swapped under a dump.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_GATE_H
#define VENICE_GATE_H

#include "catalog/store.h"

/* What the gate is called while this version is current. */
extern char *GateName(int version);

/* Make the gate of a new store, as its owner. */
extern void GateCreate(const char *schema);

/* The gate in a store's current schema; InvalidOid if there is none. */
extern Oid	GateLookup(Oid schema, int version);

/*
 * Close the gate, which holds for the transaction.  False, and *holders says who
 * has it, if it was held for as long as venice.swap_lock_timeout.
 */
extern bool GateClose(Oid gate, char **holders);

/* Move a closed gate to the schema that is now the current version's, and its owner's. */
extern void GateMove(Oid gate, Oid from, Oid to, int version, Oid owner);

#endif							/* VENICE_GATE_H */
