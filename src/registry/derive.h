/*-------------------------------------------------------------------------
 *
 * derive.h
 *		What follows from the definition of a view.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DERIVE_H
#define VENICE_DERIVE_H

#include "registry/view.h"
#include "store/create.h"

/*
 * Check a view version as it was written, and fill in what follows from it: references
 * are completed, keys and features get names and types, features_text what NULL stands
 * for.  store becomes what its own store is to be made of; its name is NULL where the
 * view has none, or reads somebody else's.
 */
extern void FeatureViewDerive(FeatureView *view, StoreSpec *store);

/* Raise 42703 when given options say something of a feature that the view does not have. */
extern void FeatureViewCheckOptions(const FeatureView *view, const Jsonb *given);

/* Raise 22023 unless the interval is NULL or positive. */
extern void IntervalCheckPositive(const Interval *interval, const char *what);

/*
 * An interval as an absolute length in microseconds, with days of 24 hours whatever the
 * time zone.  22023 unless it is positive, and for months, of which none is like the other.
 */
extern int64 IntervalLength(const Interval *interval, const char *what);

#endif							/* VENICE_DERIVE_H */
