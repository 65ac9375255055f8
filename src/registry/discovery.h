/*-------------------------------------------------------------------------
 *
 * discovery.h
 *		What there is in the registry, what it is, and what depends on what.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DISCOVERY_H
#define VENICE_DISCOVERY_H

/*
 * Between QueryBegin and QueryEnd: intervals and times read the same whatever the
 * session's settings are.
 */
extern void RegistryPinFormats(void);

#endif							/* VENICE_DISCOVERY_H */
