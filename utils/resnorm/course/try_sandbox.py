import nbformat, sys, os, time
import sandbox
from sandbox import Limits
C=nbformat.v4.new_code_cell
def go(*code, **lim):
    nb=nbformat.v4.new_notebook(cells=[C(c) for c in code]); t=time.time()
    tr=sandbox.run(nb,limits=Limits(**lim))
    outs=[(o.get('text') or o.get('evalue') or str(o.get('data')))[:150] for c in nb.cells for o in c.outputs]
    print(round(time.time()-t,1), outs, tr.incidents, tr.memory>>20, tr.processes, flush=True)
go("import os;print(os.getpid(), os.getcwd(), os.listdir('/tmp'), os.listdir('/'), os.path.exists('/work/main/notebooks'))","open('/usr/evil','w')","import socket;s=socket.socket();s.connect(('127.0.0.1',22))","open('x','w').write('hi'); import resnorm; print(resnorm.__name__)","print(os.environ)")
#go("while True: pass", cell_seconds=3)
go("import os; os._exit(0)","print(1)")
#go("x=[]\nwhile True: x.append(bytearray(50*2**20))", memory=600*2**20)
#go("import os\nfor i in range(300):\n    if os.fork()==0:\n        import time; time.sleep(20); os._exit(0)", processes=40)
go("f=open('/tmp/big','wb')\nfor i in range(2000): f.write(b'0'*2**20)", disk=100*2**20)
go("f=open('/tmp/work/big','wb')\nfor i in range(300): f.write(b'0'*2**20)", disk=100*2**20)
go("for i in range(10**6): print('x'*100)", output=10**5, cell_seconds=30)
