"""Frozen features under one strict protocol, and a verdict: did pre-training help on this data?"""
