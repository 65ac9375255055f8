/*-------------------------------------------------------------------------
 *
 * quota.h
 *		What a store may hold, and how fast it may be written to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STORE_QUOTA_H
#define VENICE_STORE_QUOTA_H

#include "catalog/store.h"

/*
 * Raise 54000 when the store's versions, with indexes and what is stored out of line, are
 * larger together than its option storage_quota.
 */
extern void QuotaCheckStorage(const Store *store);

/* Raise 54000 when as many rows have been written lately as its option write_quota lets. */
extern void QuotaCheckWrites(const Store *store);

/* Rows are written. */
extern void QuotaCountWrites(const Store *store, int64 rows);

#endif							/* VENICE_STORE_QUOTA_H */
