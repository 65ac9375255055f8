/*-------------------------------------------------------------------------
 *
 * state.h
 *		What a version's state may become, and the rows that say so.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STATE_H
#define VENICE_STATE_H

#include "catalog/store.h"

/* Rows of a new push: venice.store_version in state started, and venice.push. */
extern void VersionInsert(const Store *store, int number, const char *origin,
						  const char *push_id, bool swap, const char *topic);

/*
 * Move a version to another state, and its push with it.  An illegal step is an
 * internal error: callers raise 55000 themselves where a user asked for one.
 */
extern void VersionSetState(Version *version, VersionState state);

/* The end of the version's topic is now to be fixed, and the push finished. */
extern void VersionRequestEnd(Version *version, bool swap);

/* Number of rows that the finished version has. */
extern void VersionSetRows(Version *version, int64 rows);

/* What the version has now because the current one has it; see CloneUserObjects. */
extern void VersionSetAttachments(Version *version, Jsonb *attachments);

/*
 * The version has been given columns: their fields are found in records as the store's
 * option says now, and value_schema is the reader's, or NULL: as it was.
 */
extern void VersionSetReader(const Version *version, const char *value_schema,
							 const List *columns);

/*
 * Fail a push: state failed, with what went wrong.  Its schema is dropped by
 * maintenance.  The live version is not touched.
 */
extern void VersionFail(Version *version, int sqlstate, const char *error, const char *detail);

/* A note for people on a version, e.g. who holds up its swap; NULL clears it. */
extern void VersionSetDetail(const Version *version, const char *detail);

/* The last trace of a dropped version. */
extern void VersionDeleteRow(const Version *version);

#endif							/* VENICE_STATE_H */
