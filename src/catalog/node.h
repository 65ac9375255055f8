/*-------------------------------------------------------------------------
 *
 * node.h
 *		Is this the server and database that ingestion was enabled on?
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_NODE_H
#define VENICE_NODE_H

/* False in a database that was restored, copied, or cloned under another system identifier. */
extern bool NodeIsKnown(void);

/* Make this server and database the one that ingests, in place of any other. */
extern void NodeEnable(void);

#endif							/* VENICE_NODE_H */
