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
	bool		is_service;		/* else an on-demand view */
	char	   *reference;		/* complete */
	char	   *short_name;
	bool		visible;		/* to the current user */
} ViewUser;

/* All of them, on-demand views first. */
extern List *FeatureViewUsers(const FeatureView *view);

/*
 * The same for people, as a list of char *: service "x", on-demand view "y".  Those
 * that the current user may not see are counted at the end: 2 of others.
 */
extern List *FeatureViewUsedBy(const FeatureView *view);

/* Raise 2BP01, with both lists, when a change among them is breaking. */
extern void FeatureViewCheckChanges(const FeatureView *old, const List *changes);

#endif							/* VENICE_CHANGE_H */
