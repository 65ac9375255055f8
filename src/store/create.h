/*-------------------------------------------------------------------------
 *
 * create.h
 *		Making and dropping stores, for SQL functions and for other rooms.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CREATE_H
#define VENICE_CREATE_H

/* Does the name end like that of a version's or history's schema? */
extern bool StoreNameIsReserved(const char *name);

#endif							/* VENICE_CREATE_H */
