/*-------------------------------------------------------------------------
 *
 * views.h
 *		Views over a store's table follow the store.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_VIEWS_H
#define VENICE_VIEWS_H

#include "catalog/store.h"

/*
 * At the end of a swap: make the views over the version that was left read the
 * version that is current now.  A view that somebody uses is left to ViewsFollow,
 * one that does not fit stays behind with a WARNING.
 */
extern void ViewsSwap(const Store *store, const Version *left, const Version *current);

/*
 * Try again with the views that a swap away from this version has left behind,
 * waiting for no one's lock longer than lock_timeout_ms.  False: nothing could be
 * done, and it is to be tried again later.
 */
extern bool ViewsFollow(const Store *store, const Version *left, int lock_timeout_ms);

#endif							/* VENICE_VIEWS_H */
