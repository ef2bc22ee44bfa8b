import subprocess,sys,os
d=open('in','rb').read()
for i in range(12):
    for exe in sys.argv[1:]:
        p=subprocess.run([exe,'copy','-B','1M','exec:cat in; echo >gate','exec?on-slow=skip:read x <gate; cat >slow','-o','out'],stderr=subprocess.PIPE)
        s=open('slow','rb').read(); at=d.find(s[:64])
        # map the runs
        runs=[];pos=0
        while pos<len(s) and len(runs)<8:
            a=d.find(s[pos:pos+64]); n=0
            lo,hi=0,len(s)-pos
            while lo<hi:
                m=(lo+hi+1)//2
                if d[a:a+m]==s[pos:pos+m]: lo=m
                else: hi=m-1
            runs.append((a,lo)); pos+=max(lo,1)
        print(exe[-3:],p.returncode,len(s),open('out','rb').read()==d,runs,p.stderr.decode().split(' got')[-1].strip())
