/*-------------------------------------------------------------------------
 *
 * store_past.h
 *		The generated functions about a store's past.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STORE_PAST_H
#define VENICE_STORE_PAST_H

/* Offer version/functions.h what as_of and snapshot are. */
extern void StorePastInstall(void);

#endif							/* VENICE_STORE_PAST_H */
