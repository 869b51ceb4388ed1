"""Yardstick: the time in which PyYAML's CSafeLoader merely parses all documents, in seconds."""
import sys
import time

import yaml

with open(sys.argv[1]) as file:
    start = time.perf_counter()
    for document in yaml.load_all(file, Loader=yaml.CSafeLoader):
        pass
    print(time.perf_counter() - start)
