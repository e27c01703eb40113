package gguf

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/loopserve/loopserve/internal/float16"
)

// kind is one of ggml's types: rows of blocks.
type kind struct {
	name          string
	values, bytes int64 // of a block
	widen         func(dst []float32, block []byte)
	// kept gives a block's own codes with their scale and minimum as float16 bits, for the types whose numbers our packed
	// layout holds as they are: with 4 bits w = scale·code + minimum, with 8 bits w = scale·(code − 128). nil: the others.
	kept func(codes []uint8, block []byte) (scale, minimum uint16)
	bits int // of kept
}

// kinds by ggml's number. Products and sums are rounded one by one, in ggml's order: the conversions to float32 forbid a
// compiler to fuse them.
var kinds = map[uint32]*kind{
	0:  {name: "F32", values: 1, bytes: 4, widen: func(dst []float32, b []byte) { dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	1:  {name: "F16", values: 1, bytes: 2, widen: func(dst []float32, b []byte) { dst[0] = half(b) }},
	2:  {name: "Q4_0", values: 32, bytes: 18, widen: q40, kept: keep40, bits: 4},
	3:  {name: "Q4_1", values: 32, bytes: 20, widen: q41, kept: keep41, bits: 4},
	6:  {name: "Q5_0", values: 32, bytes: 22, widen: q50},
	7:  {name: "Q5_1", values: 32, bytes: 24, widen: q51},
	8:  {name: "Q8_0", values: 32, bytes: 34, widen: q80, kept: keep80, bits: 8},
	10: {name: "Q2_K", values: 256, bytes: 84, widen: q2k},
	11: {name: "Q3_K", values: 256, bytes: 110, widen: q3k},
	12: {name: "Q4_K", values: 256, bytes: 144, widen: q4k},
	13: {name: "Q5_K", values: 256, bytes: 176, widen: q5k},
	14: {name: "Q6_K", values: 256, bytes: 210, widen: q6k},
	30: {name: "BF16", values: 1, bytes: 2, widen: func(dst []float32, b []byte) {
		dst[0] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
	}},
}

func kindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	slices.Sort(names)
	return names
}

func half(b []byte) float32 { return float16.Widen(binary.LittleEndian.Uint16(b)) }

// nibble is code i of 32: the low halves of 16 bytes, then the high ones.
func nibble(b []byte, i int) uint8 { return b[i%16] >> (i / 16 * 4) & 15 }

// fifth is the fifth bit of code i.
func fifth(b []byte, i int) uint8 { return uint8(binary.LittleEndian.Uint32(b)>>i&1) << 4 }

func q40(dst []float32, b []byte) {
	d := half(b)
	for i := range dst {
		dst[i] = d * float32(int(nibble(b[2:], i))-8)
	}
}

func q41(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for i := range dst {
		dst[i] = float32(d*float32(nibble(b[4:], i))) + m
	}
}

func q50(dst []float32, b []byte) {
	d := half(b)
	for i := range dst {
		dst[i] = d * float32(int(nibble(b[6:], i)|fifth(b[2:], i))-16)
	}
}

func q51(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for i := range dst {
		dst[i] = float32(d*float32(nibble(b[8:], i)|fifth(b[4:], i))) + m
	}
}

func q80(dst []float32, b []byte) {
	d := half(b)
	for i := range dst {
		dst[i] = d * float32(int8(b[2+i]))
	}
}

// plane is value i of 256 in bytes that hold planes of 32: the byte, and which plane of it, counted in each run of 32 bytes.
func plane(b []byte, i, perByte int) (v uint8, shift int) {
	run := 32 * perByte
	return b[i/run*32+i%32], i % run / 32 * (8 / perByte)
}

func q2k(dst []float32, b []byte) {
	d, least := half(b[80:]), half(b[82:])
	for i := range dst {
		v, shift := plane(b[16:80], i, 4)
		s := b[i/16]
		dst[i] = float32(float32(d*float32(s&15))*float32(v>>shift&3)) - float32(least*float32(s>>4))
	}
}

func q3k(dst []float32, b []byte) {
	mask, codes, packed, d := b[:32], b[32:96], b[96:108], half(b[108:])
	for i := range dst {
		v, shift := plane(codes, i, 4)
		q := int(v >> shift & 3)
		if mask[i%32]>>(i/32)&1 == 0 {
			q -= 4
		}
		at := i / 16
		scale := int(packed[at%8]>>(at/8*4)&15|packed[8+at%4]>>(at/4*2)&3<<4) - 32
		dst[i] = float32(d*float32(scale)) * float32(q)
	}
}

// six gives the 6-bit scale and minimum of block i of 8, of Q4_K and Q5_K.
func six(b []byte, i int) (scale, minimum uint8) {
	if i < 4 {
		return b[i] & 63, b[4+i] & 63
	}
	return b[4+i]&15 | b[i-4]>>2&48, b[4+i]>>4 | b[i]>>2&48
}

func q4k(dst []float32, b []byte) { k45(dst, b, nil, b[16:]) }
func q5k(dst []float32, b []byte) { k45(dst, b, b[16:48], b[48:]) }

func k45(dst []float32, b, high, codes []byte) {
	d, least := half(b), half(b[2:])
	for i := range dst {
		v, shift := plane(codes, i, 2)
		q := v >> shift & 15
		if high != nil {
			q |= high[i%32] >> (i / 32) & 1 << 4
		}
		scale, minimum := six(b[4:16], i/32)
		dst[i] = float32(float32(d*float32(scale))*float32(q)) - float32(least*float32(minimum))
	}
}

func q6k(dst []float32, b []byte) {
	low, high, d := b[:128], b[128:192], half(b[208:])
	for i := range dst {
		v, shift := plane(high, i, 4)
		nibbles := low[i/128*64+i%64] >> (i % 128 / 64 * 4) & 15
		q := int(nibbles|v>>shift&3<<4) - 32
		dst[i] = float32(d*float32(int8(b[192+i/16]))) * float32(q)
	}
}

// keep40: w = d·(q − 8), so the minimum is −8d, whose float16 is exact unless it is beyond the type's largest.
func keep40(codes []uint8, b []byte) (scale, minimum uint16) {
	for i := range codes {
		codes[i] = nibble(b[2:], i)
	}
	return binary.LittleEndian.Uint16(b), float16.Of(-8 * half(b))
}

func keep41(codes []uint8, b []byte) (scale, minimum uint16) {
	for i := range codes {
		codes[i] = nibble(b[4:], i)
	}
	return binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
}

func keep80(codes []uint8, b []byte) (scale, minimum uint16) {
	for i := range codes {
		codes[i] = b[2+i] ^ 128
	}
	return binary.LittleEndian.Uint16(b), 0
}
