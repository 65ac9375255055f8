/*-------------------------------------------------------------------------
 *
 * change.h
 *		What a change of a view means for those who use it, and who they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CHANGE_H
#define VENICE_CHANGE_H

#include "registry/view.h"

typedef struct ViewChange
{
	char	   *text;			/* a sentence */
	bool		breaking;		/* not in place: somebody would notice */
} ViewChange;

/* The differences between a view version and another form of it, as a list of ViewChange. */
extern List *FeatureViewCompare(const FeatureView *old, const FeatureView *new);

/* Who uses a view version. */
typedef struct ViewUser
{
	char	   *kind;			/* "on_demand_view", "service", "training_set" */
	Oid			relation;		/* of a training set */
	char	   *reference;		/* complete */
	char	   *short_name;
	bool		visible;		/* to the current user */
} ViewUser;

/* What the kind is called. */
extern const char *ViewUserKind(const ViewUser *user);

/* All of them, in the order of the kinds. */
extern List *FeatureViewUsers(const FeatureView *view);

/*
 * The same for people, as a list of char *: on-demand view "y", service "x".  Those
 * that the current user may not see are counted at the end: 2 of others.
 */
extern List *FeatureViewUsedBy(const FeatureView *view);

/* Raise 2BP01, with both lists, when a change among them is breaking. */
extern void FeatureViewCheckChanges(const FeatureView *old, const List *changes);

#endif							/* VENICE_CHANGE_H */
