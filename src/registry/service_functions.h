/*-------------------------------------------------------------------------
 *
 * service_functions.h
 *		The schema of a service, and the functions that are generated in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SERVICE_FUNCTIONS_H
#define VENICE_SERVICE_FUNCTIONS_H

#include "registry/service_definition.h"

/* Make the schema of a service, which is the owner's, with its functions. */
extern void ServiceSchemaCreate(const Service *service, Oid owner);

/*
 * Make the functions anew where the service has other arguments or features than they
 * have, with the privileges that they have; 2BP01 when somebody's object depends on one.
 */
extern void ServiceFunctionsRenew(const Service *service);

/*
 * Are the functions in the schema those of the service, made by the schema's owner?  Then
 * it is he who wants what the tables say of the service.
 */
extern bool ServiceFunctionsFit(const Service *service);

/*
 * Drop the schema.  Without force, 2BP01 when something depends on the functions, or
 * somebody's objects are in it.  One without the functions is left alone, with a NOTICE.
 */
extern void ServiceSchemaDrop(const Service *service, bool force);

/* Describe schema and functions as the option "description" says. */
extern void ServiceSchemaDescribe(const Service *service);

#endif							/* VENICE_SERVICE_FUNCTIONS_H */
