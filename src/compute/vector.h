/*-------------------------------------------------------------------------
 *
 * vector.h
 *		Arithmetic on vectors of floats, in the range of doubles.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_VECTOR_H
#define VENICE_VECTOR_H

extern double VectorDot(const float *a, const float *b, int count);
extern double VectorL1Distance(const float *a, const float *b, int count);
extern double VectorL2Distance(const float *a, const float *b, int count);

/*
 * From the dot product of two vectors, the length of the first, and the dot product of the
 * second with itself; NaN if one has no length.
 */
extern double VectorCosine(double dot, double length_a, double squared_b);

/* The same of two vectors, of the first of which that is known. */
extern double VectorCosineOf(const float *a, double length_a, const float *b, int count);

#endif							/* VENICE_VECTOR_H */
