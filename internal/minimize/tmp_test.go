package minimize
import ("testing";"syscall")
func TestTmpCPU(t *testing.T){
 cpu:=func() float64 { var r syscall.Rusage; syscall.Getrusage(syscall.RUSAGE_SELF,&r); return float64(r.Utime.Sec)+float64(r.Utime.Usec)/1e6+float64(r.Stime.Sec)+float64(r.Stime.Usec)/1e6}
 g:=newGate(t)
 for n,text:=range map[string][]byte{"attack":dataFile(t,"stix/bundles/attack-enterprise.json.xz"),"ind":indicators(t,20000),"prose":prose(4000)} {
  b:=parse(t,text)
  g.Apply(b)
  c:=cpu(); for range 5 {g.Apply(b)}; d:=cpu()-c
  t.Logf("%s %.1f MB/s of CPU time (GC included)",n,float64(len(text))*5/d/1e6)
 }
}
