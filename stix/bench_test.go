package stix_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"tocsin/stix"
)

// A load is what is done with the text of one object.
type load struct {
	name string
	do   func(text []byte) error
}

// loads are the bare token scan, which every other is measured against, and what
// this package does.
func loads() []load {
	var buffer bytes.Buffer
	decoder := jsontext.NewDecoder(&buffer)
	validate := func(options stix.Options) func([]byte) error {
		return func(text []byte) error {
			v, err := stix.Parse(text, stix.Limits{})
			if err != nil {
				return err
			}
			for _, p := range stix.Validate(v, options) {
				if p.Class != stix.ClassWarning {
					return &p
				}
			}
			return nil
		}
	}
	return []load{
		{"tokens", func(text []byte) error {
			// The decoder reads a bytes.Buffer in place.
			buffer = *bytes.NewBuffer(text)
			decoder.Reset(&buffer)
			for {
				if _, err := decoder.ReadToken(); err != nil {
					if errors.Is(err, io.EOF) {
						return nil
					}
					return err
				}
			}
		}},
		{"parse", func(text []byte) error {
			_, err := stix.Parse(text, stix.Limits{})
			return err
		}},
		{"errors", validate(stix.Options{ErrorsOnly: true})},
		{"patterns", validate(stix.Options{ErrorsOnly: true, Pattern: parsePattern})},
		{"full", validate(stix.Options{Pattern: parsePattern})},
	}
}

// eachCorpus runs a benchmark over the standard's examples, and ATT&CK when TOCSIN_DATA is set.
func eachCorpus(b *testing.B, run func(b *testing.B, texts [][]byte)) {
	b.Run("examples", func(b *testing.B) {
		var texts [][]byte
		for _, e := range examples(b) {
			texts = append(texts, e.Object)
		}
		run(b, texts)
	})
	b.Run("attack", func(b *testing.B) {
		var texts [][]byte
		for _, o := range attack(b).Get("objects").Elements() {
			texts = append(texts, o.Raw())
		}
		run(b, texts)
	})
}

// BenchmarkObjects measures each load alone, with its allocations.
func BenchmarkObjects(b *testing.B) {
	for _, l := range loads() {
		b.Run(l.name, func(b *testing.B) {
			eachCorpus(b, func(b *testing.B, texts [][]byte) {
				total := 0
				for _, text := range texts {
					total += len(text)
				}
				b.SetBytes(int64(total / len(texts)))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if err := l.do(texts[i%len(texts)]); err != nil {
						b.Fatal(err)
					}
					i++
				}
				b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "objects/s")
			})
		})
	}
}

// BenchmarkBesideTheTokenScan goes over the corpus with every load in turn, again
// and again, so that what else the machine does hits all alike, and reports the
// median speed of each as a share of the bare token scan's.
func BenchmarkBesideTheTokenScan(b *testing.B) {
	eachCorpus(b, func(b *testing.B, texts [][]byte) {
		whole := bytes.Join(texts, []byte("\n"))
		times := make([][]time.Duration, len(loads()))
		all := loads()
		for b.Loop() {
			for i, l := range all {
				began := time.Now()
				given := texts
				if i == 0 {
					given = [][]byte{whole} // the scan has no cost for each object
				}
				for _, text := range given {
					if err := l.do(text); err != nil {
						b.Fatal(err)
					}
				}
				times[i] = append(times[i], time.Since(began))
			}
		}
		var scan float64
		for i, l := range all {
			slices.Sort(times[i])
			seconds := times[i][len(times[i])/2].Seconds()
			if i == 0 {
				scan = seconds
			}
			b.ReportMetric(float64(len(whole))/1e6/seconds, l.name+"-MB/s")
			b.ReportMetric(scan/seconds, l.name+"/scan")
			if l.name == "full" {
				b.ReportMetric(float64(len(texts))/seconds, fmt.Sprintf("%s-objects/s", l.name))
			}
		}
	})
}
