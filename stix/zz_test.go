package stix
import ("testing";"os";"bufio";"sort";"fmt")
func TestZZ(t *testing.T){
 f,_:=os.Open("/tmp/objs.jsonl"); s:=bufio.NewScanner(f); s.Buffer(make([]byte,1<<20),1<<28)
 count:=map[string]int{}; ex:=map[string]string{}; files:=map[string]map[string]int{}; n,bad:=0,0
 for s.Scan(){ b:=append([]byte(nil),s.Bytes()...); v,err:=Parse(b,Limits{Bytes:1<<30}); if err!=nil{ t.Log(err); continue}
  n++; o:=v.Get("o"); isbad:=false
  for _,p:=range Validate(o,Options{}) { if p.Class==ClassWarning {continue}; isbad=true
    k:=o.Get("type").Text()+" | "+p.Message+" | "+p.Clause; count[k]++; fn:=v.Get("f").Text(); if files[k]==nil{files[k]=map[string]int{}}; files[k][fn]++
    if ex[k]=="" { raw:=string(o.Raw()); if len(raw)>300{raw=raw[:300]}; ex[k]=p.At+"  "+raw } }
  if isbad{bad++}
 }
 var ks []string; for k:=range count{ks=append(ks,k)}; sort.Strings(ks)
 for _,k:=range ks{ fmt.Println(count[k],k,files[k]); fmt.Println("      ",ex[k]) }
 fmt.Println(n,bad)
}
