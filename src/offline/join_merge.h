/*-------------------------------------------------------------------------
 *
 * join_merge.h
 *		Matching a spine with a table of a history by reading the table once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_MERGE_H
#define VENICE_JOIN_MERGE_H

#include "offline/join_leaf.h"

/*
 * Improve what was found by what the leaf has.  The larger the batch, the better; once a batch
 * has been through a table in the order of integer keys, those that follow read their
 * part of it.
 */
extern void JoinMerge(const JoinViewRun *run, JoinLeaf *leaf, JoinSearch *search);

#endif							/* VENICE_JOIN_MERGE_H */
