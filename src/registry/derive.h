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
 * for.  The expressions of aggregations are those of kept, unless that is NULL.  store
 * becomes what its own store is to be made of; its name is NULL where the view has none,
 * or reads somebody else's.
 */
extern void FeatureViewDerive(FeatureView *view, const FeatureView *kept, StoreSpec *store);

/* Raise 42703 when given options say something of a feature that the view does not have. */
extern void FeatureViewCheckOptions(const FeatureView *view, const Jsonb *given);

#endif							/* VENICE_DERIVE_H */
