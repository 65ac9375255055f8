/*-------------------------------------------------------------------------
 *
 * past.h
 *		That there is a past of a view's features to ask for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_PAST_H
#define VENICE_PAST_H

#include "registry/view.h"

/* Raise 22023 for an option "history" that the view cannot have. */
extern void FeatureViewCheckPast(const FeatureView *view);

/*
 * See to it that the past of a view that has just been written down is kept, by its
 * store; or, of a new one, say what would make a relation quick to read that has its past
 * itself.
 */
extern void FeatureViewKeepPast(const FeatureView *view, bool is_new);

#endif							/* VENICE_PAST_H */
