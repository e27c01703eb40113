// Any processor: vectors of four floats, which SSE2 and NEON have and GCC breaks up elsewhere.
#define LS_W 4
#if defined(__SSE2__)
#include <emmintrin.h>
#define LS_MAX(a, b) ((vf)_mm_max_ps((__m128)(a), (__m128)(b)))
#else
#define LS_MAX(a, b) choose((a) > (b), (a), (b))
#endif
#define LS_QV 2
#define LS_QK 4
#define LS_PQ 4
#define LS_PV 2
#define LS_FQ 2
