/*-------------------------------------------------------------------------
 *
 * define.h
 *		Making, altering and dropping views.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DEFINE_H
#define VENICE_DEFINE_H

#include "registry/view.h"
#include "store/create.h"

/*
 * The view as it would be after venice.alter_feature_view, checked, and not made;
 * features and ttl may be NULL.  new_version: as the version behind the newest.
 */
extern FeatureView *FeatureViewAltered(const FeatureView *old, const Jsonb *changes,
									   const char *features, const Interval *ttl,
									   bool new_version, StoreSpec *store);

#endif							/* VENICE_DEFINE_H */
