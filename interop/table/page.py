def compare(agent, results):
    pass
