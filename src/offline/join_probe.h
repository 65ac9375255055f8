/*-------------------------------------------------------------------------
 *
 * join_probe.h
 *		Matching a spine with a table of a history by its index.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_PROBE_H
#define VENICE_JOIN_PROBE_H

#include "offline/join_leaf.h"

/* Entries that are rather passed by than jumped over. */
#define JOIN_PROBE_STEPS 48

/* Improve what was found by what the leaf, which has an index, has. */
extern void JoinProbe(const JoinViewRun *run, JoinLeaf *leaf, JoinSearch *search);

#endif							/* VENICE_JOIN_PROBE_H */
